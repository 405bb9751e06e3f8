# Writes patches for what `git log -p` does not show as one: reads first the output of
# `git log -p --merges -c`, then, after `messages=1`, that of `git log --no-patch`.
#
# Of a merge, the lines that are in none of its parents are what it adds itself; a message becomes
# a file that the commit adds. At the end, writes to the file `counted` how many messages there were.

function heading() { printf "commit %s\n%s\n%s\n\n", sha, author, date }

function end_run(i) {
  if (added) {
    if (!named) {
      old = name; sub(/b\//, "a/", old)
      heading()
      printf "diff --git %s %s\n--- %s\n+++ %s\n", bare(old), bare(name), old, name
      named = 1
    }
    printf "@@ -%d,0 +%d,%d @@\n", start, start, added
    for (i = 1; i <= added; i++) printf "+%s\n", run[i]
  }
  added = 0
}

# git ends a name with blanks in it with a tab, but not in the first line of a patch.
function bare(text) { sub(/\t$/, "", text); return text }

function end_message(i) {
  if (sha != "" && !(sha in seen)) {
    seen[sha]; count++
    if (!lines) line[++lines] = ""
    heading()
    printf "diff --git a/%s b/%s\nnew file mode 100644\nindex 0000000..1111111\n", path, path
    printf "--- /dev/null\n+++ b/%s\n@@ -0,0 +1,%d @@\n", path, lines
    for (i = 1; i <= lines; i++) printf "+%s\n", line[i]
  }
  lines = 0
}

BEGIN { path = ".git/COMMIT_EDITMSG" }

/^commit / {
  end_run()
  if (messages) end_message()
  parents = 0; sha = $2
  next
}
/^Author: / { author = $0; next }
/^Date: / { date = $0; next }
messages { if (/^    /) line[++lines] = substr($0, 5); next }
/^diff / { end_run(); parents = 0; named = 0; name = ""; next }
/^@@@/ {
  end_run()
  match($0, /^@+/); parents = RLENGTH - 1
  match($0, /\+[0-9]+/); number = substr($0, RSTART + 1, RLENGTH - 1)
  next
}
!parents && /^\+\+\+ / { name = substr($0, 5); next }
parents && /^[ +-]/ {
  prefix = substr($0, 1, parents)
  if (prefix ~ /^\++$/) {
    if (!added) start = number
    run[++added] = substr($0, parents + 1)
    number++
  } else {
    end_run()
    if (prefix !~ /-/) number++
  }
}

END {
  end_run()
  end_message()
  print count + 0 > counted
}
