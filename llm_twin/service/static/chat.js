// The chat page. Answers and sources are untrusted: they reach the page as text alone.

const STORED_KEY = "llm-twin-api-key";
const MOST_MESSAGES = 20;
const NEAR = 120; // pixels from the end within which the page follows the answer
const FENCE = /^```/;
const ITEM = /^\s*[-*] (.+)/;
const INLINE = /(`[^`\n]+`|\[\d{1,2}\])/;

const page = Object.fromEntries(
  ["new", "welcome", "log", "ask", "question", "send", "stop", "status", "key", "key-dialog",
    "key-form", "key-cancel"].map((id) => [id, document.getElementById(id)]),
);
const conversation = [];
let running = null;
let model = null;

class Refused extends Error {
  constructor(status, message, retryAfter) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

// --- The API ---------------------------------------------------------------------------------

async function call(path, body, signal) {
  const headers = {};
  const key = sessionStorage.getItem(STORED_KEY);
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body) headers["Content-Type"] = "application/json";
  const response = await fetch(path, {
    method: body ? "POST" : "GET",
    headers,
    body: body ? JSON.stringify(body) : undefined,
    signal,
  });
  if (response.ok) return response;
  const told = await response.json().catch(() => null);
  const message = told?.error?.message ?? `The service answered with status ${response.status}.`;
  throw new Refused(response.status, message, response.headers.get("Retry-After"));
}

// Like `call`, and where the service wants a key, ask for one and try again.
async function callWithKey(path, body, signal) {
  for (;;) {
    try {
      return await call(path, body, signal);
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 401) throw error;
      sessionStorage.removeItem(STORED_KEY);
      if (!(await askForKey())) throw error;
    }
  }
}

function askForKey() {
  const dialog = page["key-dialog"];
  page.key.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "use"), { once: true });
  });
}

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      if (!block.startsWith("data: ")) continue;
      const data = block.slice(6);
      if (data === "[DONE]") {
        yield null;
        return;
      }
      yield JSON.parse(data);
    }
  }
}

// --- What is seen ----------------------------------------------------------------------------

function made(template) {
  return document.getElementById(template).content.firstElementChild.cloneNode(true);
}

function element(name, className, text) {
  const node = document.createElement(name);
  if (className) node.className = className;
  node.textContent = text;
  return node;
}

// Code blocks, lists, inline code and the numbers of sources; everything else is plain text.
function render(target, text, numbers) {
  const nodes = [];
  let plain = [];
  let code = null;
  let list = null;
  const flush = () => {
    const between = plain.join("\n").replace(/^\n+|\n+$/g, ""); // what follows has a margin
    if (between) nodes.push(...inline(between, numbers));
    plain = [];
    list = null;
  };
  for (const line of text.split("\n")) {
    const item = ITEM.exec(line);
    if (FENCE.test(line)) {
      if (code === null) {
        flush();
        code = [];
      } else {
        nodes.push(block(code));
        code = null;
      }
    } else if (code !== null) {
      code.push(line);
    } else if (item) {
      if (!list) {
        flush();
        list = document.createElement("ul");
        nodes.push(list);
      }
      const entry = document.createElement("li");
      entry.append(...inline(item[1], numbers));
      list.append(entry);
    } else {
      list = null;
      plain.push(line);
    }
  }
  if (code !== null) nodes.push(block(code));
  flush();
  target.replaceChildren(...nodes);
}

function block(lines) {
  const pre = document.createElement("pre");
  pre.tabIndex = 0; // so that the keyboard can scroll it
  pre.append(element("code", "", lines.join("\n")));
  return pre;
}

function* inline(text, numbers) {
  for (const part of text.split(INLINE)) {
    const number = /^\[(\d+)\]$/.exec(part)?.[1];
    if (part.length > 2 && part.startsWith("`") && part.endsWith("`")) {
      yield element("code", "", part.slice(1, -1));
    } else if (number && numbers?.has(Number(number))) {
      const mark = element("button", "mark", number);
      mark.type = "button";
      mark.dataset.number = number;
      mark.setAttribute("aria-label", `Source ${number}`);
      yield mark;
    } else if (part) {
      yield document.createTextNode(part);
    }
  }
}

function showSources(article, citations) {
  if (!citations.length) return;
  const list = article.querySelector(".sources ol");
  for (const cited of citations) {
    const item = made("source");
    item.dataset.number = cited.number;
    item.querySelector(".mark").textContent = cited.number;
    item.querySelector(".title").textContent = cited.title || "Untitled";
    item.querySelector(".from").textContent = cited.source;
    render(item.querySelector("blockquote"), cited.quote, null);
    const address = safe(cited.url);
    if (address) {
      const link = item.querySelector("a");
      link.href = address.href;
      link.textContent = address.host + address.pathname;
      item.querySelector(".link").hidden = false;
    }
    list.append(item);
  }
  article.querySelector(".sources").hidden = false;
}

function safe(url) {
  if (!url || !URL.canParse(url)) return null;
  const address = new URL(url);
  return ["http:", "https:"].includes(address.protocol) ? address : null;
}

function openSource(article, number) {
  const item = article.querySelector(`.sources li[data-number="${number}"]`);
  if (!item) return;
  item.querySelector("details").open = true;
  item.scrollIntoView({ block: "nearest" });
  item.querySelector("summary").focus();
}

function atEnd() {
  const root = document.documentElement;
  return root.scrollHeight - root.scrollTop - root.clientHeight < NEAR;
}

function toEnd() {
  document.documentElement.scrollTop = document.documentElement.scrollHeight;
}

function say(text) {
  page.status.textContent = text;
}

// --- One question ----------------------------------------------------------------------------

async function ask(text) {
  page.welcome.hidden = true;
  page.new.disabled = false;
  for (const open of page.log.querySelectorAll(".comment")) open.hidden = true;
  const asked = made("asked");
  asked.querySelector(".text").textContent = text;
  const article = made("answered");
  page.log.append(asked, article);
  toEnd();
  const own = new AbortController();
  running = own;
  update();
  const state = { text: "", twin: null, whole: false };
  try {
    await receive(text, article, state, own.signal);
    if (!state.whole) throw new Error("The answer broke off.");
    if (!asked.isConnected) return;
    conversation.push({ role: "user", content: text }, { role: "assistant", content: state.text });
    finish(article, state);
  } catch (error) {
    broke(article, asked, text, state, error, own.signal.aborted);
  } finally {
    article.removeAttribute("aria-busy");
    if (running === own) running = null;
    update();
  }
}

async function receive(text, article, state, signal) {
  model ??= (await (await callWithKey("v1/models", null, signal)).json()).data[0].id;
  const messages = [...conversation.slice(-MOST_MESSAGES), { role: "user", content: text }];
  const response = await callWithKey(
    "v1/chat/completions", { model, messages, stream: true }, signal,
  );
  const target = article.querySelector(".text");
  let painting = 0;
  const paint = () => {
    painting = 0;
    const follow = atEnd();
    render(target, state.text, null);
    if (follow) toEnd();
  };
  try {
    for await (const chunk of events(response)) {
      if (chunk === null) {
        state.whole = true;
        return;
      }
      if (chunk.error) throw new Refused(0, chunk.error.message, null);
      state.twin = chunk.twin ?? state.twin;
      const piece = chunk.choices[0]?.delta?.content;
      if (piece) {
        state.text += piece;
        painting ||= requestAnimationFrame(paint);
      }
    }
  } finally {
    cancelAnimationFrame(painting);
  }
}

function finish(article, state) {
  const follow = atEnd();
  const twin = state.twin;
  const numbers = new Set(twin.citations.map((cited) => cited.number));
  render(article.querySelector(".text"), state.text, numbers);
  showSources(article, twin.citations);
  if (twin.extractive && !twin.abstained) {
    const remark = article.querySelector(".remark");
    remark.textContent = "In the words of the sources.";
    remark.hidden = false;
  }
  addTools(article, state);
  say("The answer is complete.");
  if (follow) toEnd();
}

function broke(article, asked, text, state, error, stopped) {
  if (!asked.isConnected) return; // a new chat was begun
  const follow = atEnd();
  if (state.text) {
    render(article.querySelector(".text"), state.text, null);
  } else {
    article.remove();
  }
  const failed = made("failed");
  let message = error instanceof Refused ? error.message : "The service can't be reached.";
  if (error.message === "The answer broke off.") message = error.message;
  if (error.retryAfter) message += ` (in ${error.retryAfter} seconds)`;
  if (stopped) message = "Stopped.";
  failed.querySelector(".text").textContent = message;
  failed.classList.toggle("stopped", stopped);
  failed.querySelector(".again").addEventListener("click", () => {
    if (running) return;
    for (const node of [asked, article, failed]) node.remove();
    ask(text);
    page.question.focus();
  });
  page.log.append(failed);
  if (follow) toEnd();
}

// --- Copying and feedback --------------------------------------------------------------------

function addTools(article, state) {
  const tools = article.querySelector(".tools");
  const said = tools.querySelector(".said");
  const comment = article.querySelector(".comment");
  const buttons = { up: tools.querySelector(".up"), down: tools.querySelector(".down") };
  let rating = null;
  const send = async (chosen, text) => {
    const body = { trace_id: state.twin.trace_id, rating: chosen };
    if (text) body.comment = text;
    try {
      await callWithKey("v1/feedback", body);
      return true;
    } catch (error) {
      said.textContent = error instanceof Refused ? error.message : "Not sent: no connection.";
      return false;
    }
  };
  for (const [chosen, button] of Object.entries(buttons)) {
    button.addEventListener("click", async () => {
      if (!(await send(chosen, ""))) return;
      rating = chosen;
      for (const [name, each] of Object.entries(buttons)) {
        each.setAttribute("aria-pressed", String(name === chosen));
      }
      said.textContent = "Thank you.";
      comment.hidden = false;
      comment.querySelector("textarea").focus({ preventScroll: true });
      comment.scrollIntoView({ block: "nearest" });
    });
  }
  const close = () => {
    comment.hidden = true;
    buttons[rating].focus();
  };
  comment.querySelector(".cancel").addEventListener("click", close);
  comment.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      event.stopPropagation();
      close();
    } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      comment.requestSubmit();
    }
  });
  comment.addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = comment.querySelector("textarea").value.trim();
    if (text && !(await send(rating, text))) return;
    if (text) said.textContent = "Thank you for the comment.";
    close();
  });
  tools.querySelector(".copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(state.text);
      said.textContent = "Copied.";
    } catch {
      said.textContent = "The browser does not allow copying here.";
    }
  });
  tools.hidden = false;
}

// --- The composer ----------------------------------------------------------------------------

function update() {
  page.send.hidden = running !== null;
  page.stop.hidden = running === null;
  page.send.disabled = !page.question.value.trim();
  page.question.style.height = "auto";
  page.question.style.height = `${page.question.scrollHeight}px`;
}

page.ask.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = page.question.value.trim();
  if (!text || running) return;
  page.question.value = "";
  ask(text);
  page.question.focus();
});

page.question.addEventListener("input", update);
page.question.addEventListener("keydown", (event) => {
  // Where a character is being composed, Enter chooses it.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  page.ask.requestSubmit();
});

page.stop.addEventListener("click", () => {
  running?.abort();
  page.question.focus();
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && running && !page["key-dialog"].open) running.abort();
});

page.new.addEventListener("click", () => {
  running?.abort();
  running = null;
  conversation.length = 0;
  page.log.replaceChildren();
  page.welcome.hidden = false;
  page.new.disabled = true;
  update();
  page.question.focus();
});

page.log.addEventListener("click", (event) => {
  const mark = event.target.closest("button.mark");
  if (mark) openSource(mark.closest("article"), mark.dataset.number);
});

page["key-form"].addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(STORED_KEY, page.key.value.trim());
  page["key-dialog"].close("use");
});
page["key-cancel"].addEventListener("click", () => page["key-dialog"].close(""));

update();
