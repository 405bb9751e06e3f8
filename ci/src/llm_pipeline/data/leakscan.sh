#!/bin/sh
# Looks for secrets in a git history and in a copy of its working tree, with gitleaks.
#
#   leakscan.sh scan OUT REPO RULES BASELINE RANGE [PATH CONTENT]...   (some may be empty)
#   leakscan.sh control OUT RULES PATH...
#
# The working directory is the copy. REPO is the source's own folder; or it holds nothing but .git,
# which then was named apart from the source, and it has to be shown that the two belong together.
# Exits with 0 (no leaks), 9 (leaks, a line of JSON for each in OUT/leaks.json) or 3 (could not
# look, OUT/error says why); OUT/scan holds what was looked at.
#
# REPO is only read: everything is scanned through a repository of our own in OUT that borrows its
# objects, so that no setting, attribute, filter or hook of the source, the user or the machine
# changes what gitleaks gets to see. What is not committed is one more commit there, and so is the
# defect of the red control, PATH with CONTENT: one process of gitleaks sees everything, since most
# of a scan's time is its start. `control` then takes what that process found in files that are now
# planted in the copy, if they are the same.
#
# Runs with busybox and with the tools of macOS: the official image of gitleaks has no others.
set -u
mode=$1
mkdir -p "$2" && out=$(cd "$2" && pwd) || exit 3
shift 2

fail() {
  printf '%s\n' "$1" > "$out/error"
  printf 'error: %s\n' "$1"
  exit 3
}

said() { sed -n 's/^fatal: //p; s/^error: //p' "$out/git.err" | head -n 1; }

broken() {
  reason=$(said)
  fail "The history can't be read in full (${reason:-git gave no reason}). Get what is missing: \`git fetch --unshallow\` for a shallow clone, \`git fetch --refetch --no-filter\` for a partial one; \`git fsck\` names what is corrupt."
}

# git of the source, with the user's own settings: they say whose repositories the user trusts.
theirs() {
  if [ -n "$apart" ]; then
    # Whose files these are in a container says nothing, and nothing in them is run.
    git -c safe.directory='*' -C "$repo" "$@" 2> "$out/git.err"
  else
    git -C "$repo" "$@" 2> "$out/git.err"
  fi
}

no_repository() {
  mend=$(sed -n 's/^[[:space:]]*\(git config --global --add safe.directory .*\)$/\1/p' "$out/git.err")
  if [ -n "$mend" ]; then
    fail "The git repository belongs to another user. If you trust it: \`$mend\`"
  elif [ -f "$repo/.git" ]; then
    fail "Here .git is a file, as in a worktree or a submodule, and the history it names is elsewhere. Give it by name: --git=\"\$(git rev-parse --path-format=absolute --git-common-dir)\""
  elif [ -e "$repo/.git" ] || [ -e "$repo/HEAD" ]; then
    fail "git can't read the repository ($(said)); \`git fsck\` names what is corrupt."
  fi
  fail "This is no git repository, so there is no history to scan. Run \`git init\` and commit; in containers, name the source's history with --git=DIR."
}

# Makes the repository of our own; from here on `git` is that one, and reads no settings but its.
begin() {
  scan=$out/repository
  export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 GIT_ATTR_NOSYSTEM=1 HOME="$scan" \
    XDG_CONFIG_HOME="$scan" GIT_DIR="$scan/.git" GIT_INDEX_FILE="$scan/.git/index" GIT_PAGER=cat \
    GIT_LITERAL_PATHSPECS=1 \
    GIT_AUTHOR_NAME=working-tree GIT_AUTHOR_EMAIL=working-tree@localhost \
    GIT_COMMITTER_NAME=working-tree GIT_COMMITTER_EMAIL=working-tree@localhost
  git init -q --template= --object-format="$1" "$scan" > "$out/git.err" 2>&1 || broken
  git config core.compression 0
  git config core.logAllRefUpdates false
}

# With the source's objects at hand git may touch the times of those that it would write again; so
# it has them to read only.
borrow() { printf '%s\n' "$objects" > "$GIT_DIR/objects/info/alternates"; }
give_back() { rm "$GIT_DIR/objects/info/alternates"; }

# git in an empty folder, for differences: in the copy it would obey the source's .gitattributes.
inside() { git -C "$scan" "$@"; }

# Reads paths of the copy into the index.
add() {
  git --work-tree=. add "$@" > "$out/git.err" 2>&1 ||
    fail "The working tree can't be read ($(said)); make its files readable."
}

# Whether a commit's files are those of the copy, by path and content. Licences, empty files and
# the like are shared by unrelated repositories and prove nothing. An edited file counts when at
# least half of the lines it had are still there.
belongs() {
  git ls-tree -r "$1" > "$out/had" || broken
  git ls-files -s > "$out/has" || broken
  inside diff-index --cached --no-renames --numstat "$1" > "$out/edits" || broken
  inside diff-tree -r --no-renames --numstat "$empty" "$1^{tree}" > "$out/lines" || broken
  awk -F '\t' -v nothing="$(git hash-object -t blob /dev/null)" '
    function proof(path, id) {
      sub(/"$/, "", path); sub(/.*\//, "", path); path = tolower(path)
      return id != nothing && path !~ /^"?(licen[cs]e|copying|notice|unlicense|code_of_conduct)/ &&
        path !~ /^"?(\.git[a-z]+|\.editorconfig|py\.typed)$/
    }
    { split($1, f, " ") }
    file == 1 && f[2] == "blob" && proof($2, f[3]) { had[$2] = f[3]; before++ }
    file == 2 && f[1] != "160000" && proof($2, f[2]) {
      now++
      if ($2 in had) { if (had[$2] == f[2]) same++; else edited[$2] }
    }
    file == 3 { gone[$3] = $2 }
    file == 4 && ($3 in edited) && $1 > 0 && 2 * gone[$3] <= $1 { kept++ }
    END { n = before < now ? before : now; exit !(n > 0 && 2 * (same + kept) >= n) }
  ' file=1 "$out/had" file=2 "$out/has" file=3 "$out/edits" file=4 "$out/lines"
}

# The messages of commits and annotated tags, in the form of `git log`.
messages() {
  # shellcheck disable=SC2086  # revisions are words
  git log --no-notes --no-patch $revisions || return 1
  [ -n "$range" ] || git for-each-ref refs/tags --format='%(if)%(taggername)%(then)commit %(objectname)
Author: %(taggername) %(taggeremail)
Date:   %(taggerdate)

    %(contents:lines=1000000)%(end)'
}

# Writes as patches what gitleaks would not see: it reads the output of one `git log -p`, which
# shows nothing of merges, and no messages. Every commit has a message and these come last; so
# gitleaks has read everything exactly if it counts as many commits as there are messages. (This
# walks the whole history: a shallow clone that went through an engine does not say what it is.)
write_patches() {
  # shellcheck disable=SC2086  # revisions are words
  inside log --no-notes --merges -c -p -U0 --no-renames $revisions > "$out/merges" \
    2> "$out/git.err" || broken
  messages > "$out/messages" 2> "$out/git.err" || broken
  awk -v counted="$out/expected" -f "${0%/*}/leakscan.awk" "$out/merges" messages=1 \
    "$out/messages" > "$out/patches" || fail "Nothing can be written to $out; free some space."
}

# What gitleaks runs in place of git. gitleaks can't read the name of a file that ends in an escaped
# backslash.
stand_in() {
  mkdir -p "$out/bin" && cat > "$out/bin/git" << 'END'
#!/bin/sh
[ "$3" = log ] || exec "$LEAKSCAN_GIT" "$@"
{
  "$LEAKSCAN_GIT" "$@" || echo "git log ended with $?" >&2
  cat "$LEAKSCAN_OUT/patches"
} | sed '/^diff --git "a\//s/\\\\/\\134/g'
END
  chmod +x "$out/bin/git" || fail "Nothing can be written to $out; free some space."
}

# Scans the revisions, and ends.
look() {
  [ -f "$rules" ] ||
    fail "The rules $rules are not in the source; correct \`rules\` of [tool.llm-pipeline.gitleaks]."
  if [ -n "$baseline" ]; then
    [ -f "$baseline" ] ||
      fail "The baseline $baseline is not in the source; correct \`baseline\` of [tool.llm-pipeline.gitleaks]."
    # At its place in the source, where gitleaks does not take it for a leak itself; and by its
    # fingerprints too, since the secrets of a redacted one can't be compared.
    mkdir -p "$(dirname "$scan/$baseline")"
    cp "$baseline" "$scan/$baseline" ||
      fail "The baseline $baseline can't be copied; make it readable."
    sed -n 's/^[[:space:]]*"Fingerprint": "\(.*\)",\{0,1\}$/\1/p' "$baseline" \
      > "$scan/.gitleaksignore"
  fi

  write_patches
  stand_in
  printf '%s' '{{ range . }}{{ toJson . }}{{ "\n" }}{{ end }}' > "$out/template"
  LEAKSCAN_GIT=$(command -v git) LEAKSCAN_OUT=$out PATH=$out/bin:$PATH gitleaks git \
    --config="$rules" ${baseline:+"--baseline-path=$scan/$baseline"} --gitleaks-ignore-path=. \
    --platform=none --no-banner --no-color --exit-code=9 --report-format=template \
    --report-template="$out/template" --report-path="$out/all.json" \
    --log-opts="--no-notes --no-renames $revisions" "$scan" > "$out/gitleaks.raw" 2>&1
  code=$?
  sed "s/$(printf '\033')\[[0-9;]*m//g" "$out/gitleaks.raw" > "$out/gitleaks.log"
  # Its counts include commits of our own and the planted leaks.
  sed '/ leaks found/d; / commits scanned/d' "$out/gitleaks.log"
  complaint=$(sed -n 's/^[^ ]* ERR //p; s/^[^ ]* FTL //p; s/^panic: regexp: /config: /p' "$out/gitleaks.log" | head -n 1)
  killed=$(sed -n 's/.*git log ended with \(1[3-9][0-9]\)$/\1/p' "$out/gitleaks.log")
  [ -z "$killed" ] || fail "git was killed while it read the history (exit code $killed); run again with more memory."
  case $complaint in
    '[git] '*) printf '%s\n' "${complaint#* }" > "$out/git.err"; broken ;;
    *aseline*) fail "The baseline $baseline is no report of gitleaks ($complaint); make it with \`gitleaks git --redact --report-format=json --report-path=$baseline\`." ;;
    *config*) fail "gitleaks can't use the rules $rules ($complaint); correct them." ;;
    ?*) fail "gitleaks could not scan: $complaint" ;;
  esac
  [ "$code" = 0 ] || [ "$code" = 9 ] ||
    fail "gitleaks ended with exit code $code; is it installed, and at the version this needs?"
  expected=$(cat "$out/expected")
  commits=$(sed -n 's/.* \([0-9][0-9]*\) commits scanned.*/\1/p' "$out/gitleaks.log")
  { [ "$commits" = "$expected" ] && [ "$commits" -gt 0 ]; } ||
    fail "gitleaks read ${commits:-0} of $expected commits, so it has not seen everything; see the check's log."
  planted="\"Commit\":\"${planted:-none}\""
  grep -F "$planted" < "$out/all.json" > "$out/planted.json"
  grep -v -F "$planted" < "$out/all.json" > "$out/leaks.json"
  [ $? -le 1 ] || fail "The report can't be written to $out; free some space."
  finish $((commits - ours))
}

# Says what was looked at, and ends.
finish() {
  printf '%s\n' "commits $1" "tree $tree" "prefix $prefix" "rules $rules" > "$out/scan"
  echo "$1 commits scanned, $(wc -l < "$out/leaks.json" | tr -d ' ') findings"
  [ ! -s "$out/leaks.json" ] || exit 9
  exit 0
}

export LC_ALL=C GIT_OPTIONAL_LOCKS=0 GIT_TERMINAL_PROMPT=0 GIT_NO_REPLACE_OBJECTS=1
# Set where a git hook calls the pipeline; they would name another repository.
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_COMMON_DIR GIT_PREFIX \
  GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_NAMESPACE GIT_EXTERNAL_DIFF GIT_DIFF_OPTS
tree='' prefix='' planted='' ours=0

if [ "$mode" = control ]; then
  rules=$1
  shift
  scanned=${out%/*}
  for path in "$@"; do
    printf '%s %s\n' "$(git --git-dir="$scanned/repository/.git" hash-object --no-filters -- "$path")" "$path"
  done > "$out/planted"
  [ "$(cat "$out/planted")" = "$(cat "$scanned/planted")" ] ||
    fail "The planted files are not those that were scanned."
  cp "$scanned/planted.json" "$out/leaks.json"
  finish 0
fi

repo=$1 rules=$2 baseline=$3 range=$4
shift 4
apart=''
if [ "$(ls -A "$repo")" = .git ]; then
  apart=yes
  export GIT_CEILING_DIRECTORIES="${repo%/*}"
fi
theirs rev-parse --git-dir > "$out/found" || no_repository
[ "$(theirs rev-parse --is-shallow-repository)" = false ] ||
  fail "The clone is shallow: most of its history is missing. Run \`git fetch --unshallow\`; in GitHub Actions give actions/checkout \`fetch-depth: 0\`."
format=$(theirs rev-parse --show-object-format) || broken
objects=$(theirs rev-parse --git-path objects) || broken
case $objects in /*) ;; *) objects=$repo/$objects ;; esac
theirs for-each-ref --format='%(objectname) %(refname)' > "$out/refs" || broken
head=$(theirs rev-parse --quiet --verify 'HEAD^{commit}') || head=''
[ -n "$head" ] || [ -s "$out/refs" ] ||
  fail "The repository has no commits yet, so there is no history to scan; commit first."
heads=$(theirs worktree list --porcelain | sed -n 's/^HEAD //p' | grep -v '^0*$')
[ -n "$apart" ] || prefix=$(theirs rev-parse --show-prefix) || prefix=''
if [ -n "$prefix" ] && theirs check-ignore --quiet "$repo"; then
  fail "The source lies in a folder that the repository around it ignores, so it has no history of its own to scan. Run \`git init\` in it and commit."
fi
revisions=--all
if [ -n "$range" ]; then
  case $range in
    -*) fail "The range $range is an option of git, no range; set \`range\` of [tool.llm-pipeline.gitleaks] to one like origin/main..HEAD." ;;
  esac
  count=$(theirs rev-list --count "$range" --) ||
    fail "The range $range is not valid here ($(said)); correct \`range\` of [tool.llm-pipeline.gitleaks], or fetch what it names."
  [ "$count" -gt 0 ] ||
    fail "The range $range holds no commits, so nothing would be scanned; correct \`range\` of [tool.llm-pipeline.gitleaks], or leave it out to scan everything."
  revisions=$(theirs rev-parse --revs-only "$range" -- | tr '\n' ' ')
  revisions=${revisions% }
fi

begin "$format"
empty=$(git hash-object -t tree -w /dev/null)
borrow
cp "$out/refs" "$GIT_DIR/packed-refs"
[ -z "$head" ] || printf '%s\n' "$head" > "$GIT_DIR/HEAD"
n=0
for found in $heads; do
  n=$((n + 1))
  printf '%s refs/worktrees/%s\n' "$found" "$n" >> "$GIT_DIR/packed-refs"
done

base=$empty
[ -z "$head" ] || base=$(git rev-parse --quiet --verify "$head:${prefix%/}") || base=$empty
git read-tree "$base" 2> "$out/git.err" || broken
# Files of a submodule are files here: the copy has no repository in it.
git ls-files -s | sed -n 's/^160000 \([0-9a-f]*\) 0/0 \1/p' | git update-index --index-info || broken
# Compares without writing; then only what differs is read again.
git update-index -q --refresh > "$out/found" 2>&1
give_back
add --all .
now=$(git write-tree --missing-ok) || broken
borrow
if [ -n "$apart" ]; then
  belonging=''
  for found in $head $heads; do
    belongs "$found" && belonging=$found && break
  done
  [ -n "$belonging" ] ||
    fail "The git history does not belong to the source: its files are others. Name the source's own with --git=DIR, and as the source the root of the repository."
  head=$belonging
  changed=$(git diff-index --cached --ignore-submodules=all --name-only "$head" | head -n 1)
  printf '%s\n' "$head" "$(git rev-parse "$head^{tree}")" "${changed:+dirty}" > "$out/state"
fi
if [ "$now" != "$base" ] || [ -n "$range" ]; then
  if [ -n "$prefix" ]; then
    git read-tree --empty
    [ -z "$head" ] || [ -n "$range" ] || git read-tree "$head" || broken
    git rm -r --cached --quiet --ignore-unmatch -- "$prefix" 2> "$out/git.err" || broken
    git read-tree --prefix="$prefix" "$now" 2> "$out/git.err" || broken
    give_back
    now=$(git write-tree --missing-ok) || broken
    borrow
  fi
  # With a range the whole tree is new: what it holds may be older than the range.
  parent=''
  [ -z "$head" ] || [ -n "$range" ] || parent="-p $head"
  # shellcheck disable=SC2086  # two words or none
  tree=$(git commit-tree $parent -m 'working tree' "$now") || broken
  ours=$((ours + 1))
  revisions="$revisions $tree"
fi

if [ $# -gt 0 ]; then
  give_back
  git read-tree --empty
  while [ $# -gt 1 ]; do
    id=$(printf '%s' "$2" | git hash-object -w --stdin) || broken
    printf '%s %s\n' "$id" "$1" >> "$out/planted"
    git update-index --add --cacheinfo "100644,$id,$1" 2> "$out/git.err" || broken
    shift 2
  done
  planted=$(git commit-tree -m planted "$(git write-tree)") || broken
  ours=$((ours + 1))
  revisions="$revisions $planted"
  borrow
fi
look
