// The fleet as a page: state comes by server-sent events, is drawn anew, and only what differs is
// put into the document. Everything that came over the wire is put in as text, never as HTML.

const CELLS = 512; // squares of a map, at most
const SECTOR = 4096; // bytes
const LATEST = 8; // jobs beside the things
const STEPS = ["accepted", "downloading", "applying", "trying", "succeeded"];
const LOOKS = {
  SUCCEEDED: "good", FAILED: "bad", REJECTED: "bad", TIMED_OUT: "bad", CANCELED: "idle",
  REMOVED: "idle", QUEUED: "idle", IN_PROGRESS: "busy", COMPLETED: "idle", SCHEDULED: "idle",
};
const FILTERS = {
  all: ["All", () => true],
  connected: ["Connected", (one) => one.connected],
  working: ["Working", (one) => one.job?.status === "IN_PROGRESS"],
  failed: ["Failed", (one) => one.failed],
};

const state = {
  index: null, things: new Map(), jobs: new Map(), details: null, trouble: "",
  entered: null, search: "", filter: "all",
};

// Documents

/** An element; a property is an attribute, and functions listen. Children are text or elements. */
function el(tag, properties, ...children) {
  const made = document.createElement(tag);
  set(made, properties ?? {});
  made.append(...children.flat(Infinity).filter((one) => one != null && one !== false));
  return made;
}

function svg(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  set(made, attributes);
  made.append(...children);
  return made;
}

function set(element, properties) {
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") element[name] = value;
    else if (value != null && value !== false) element.setAttribute(name, value);
  }
}

/** Make `old` what `fresh` is, and keep what is the same: focus, scrolling, transitions. What says
 * that it is of the same version is not looked into. */
function patch(old, fresh) {
  if (fresh.dataset.version && fresh.dataset.version === old.dataset.version) return;
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) === value) continue;
    if (name === "style") old.style.cssText = value; // the policy forbids the attribute
    else old.setAttribute(name, value);
  }
  for (const listener of ["onclick", "oninput"]) old[listener] = fresh[listener];
  const keyed = new Map([...old.children].filter((one) => one.dataset.key)
    .map((one) => [one.dataset.key, one]));
  let place = old.firstChild;
  for (const next of [...fresh.childNodes]) {
    const known = next.dataset?.key && keyed.get(next.dataset.key);
    if (known && known !== place) place = old.insertBefore(known, place);
    if (place?.nodeType === 3 && next.nodeType === 3) {
      if (place.data !== next.data) place.data = next.data;
    } else if (place?.nodeName === next.nodeName && place.dataset.key === next.dataset.key) {
      patch(place, next);
    } else {
      place = old.insertBefore(next, place);
    }
    place = place.nextSibling;
  }
  while (place) {
    const after = place.nextSibling;
    place.remove();
    place = after;
  }
}

// Words

const count = (number) => number.toLocaleString("en");
const rounded = (number) => number.toLocaleString("en", { maximumFractionDigits: 1 });
const kib = (bytes) => bytes < 1048576 ? `${rounded(bytes / 1024)} KiB` : `${rounded(bytes / 1048576)} MiB`;
const words = (status) => status.toLowerCase().replaceAll("_", " ");

function ago(at) {
  if (at == null) return "never";
  const seconds = Math.max(0, Date.now() / 1000 - at);
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit} ago`;
  }
  return seconds < 10 ? "now" : `${Math.floor(seconds / 10) * 10} s ago`;
}

const lasting = (seconds) => seconds < 120 ? `${Math.max(1, Math.round(seconds))} s`
  : seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;

function when(at) {
  if (at == null) return "";
  const date = new Date(at * 1000);
  return el("time", { datetime: date.toISOString(), title: date.toLocaleString() }, ago(at));
}

const chip = (look, text) => el("span", { class: `state ${look}` }, text);
const status = (name) => chip(LOOKS[name] ?? "idle", words(name));
const link = (kind, name) => el("a", { href: `#/${kind}/${encodeURIComponent(name)}` }, name);
const connection = (one) => one.connected == null ? chip("idle", "connection unknown")
  : one.connected ? chip("good", "connected") : chip("idle", "not connected");

function runs(one) {
  const parts = [["interpreter", one.interpreter], ["agent", one.agent], ["app", one.app]];
  return parts.filter(([, version]) => version).map(([name, version]) => `${name} ${version}`)
    .join(" · ") || "nothing told yet";
}

function bar(one, label) {
  if (one.status !== "IN_PROGRESS" || one.total == null) return null;
  const text = `${Math.floor((100 * one.done) / one.total)} %`;
  return [
    el("progress", { max: one.total, value: one.done, "aria-label": `${label}: download` }),
    el("span", { class: "sub figures" }, `${text}, ${count(one.done)} of ${count(one.total)} blocks`),
  ];
}

function outcome(one, label, job) {
  const step = one.status === "IN_PROGRESS" ? chip("busy", one.step) : status(one.status);
  return [step, job ? [" ", el("span", { class: "sub job" }, job)] : null, bar(one, label), one.reason
    ? [" ", el("span", { class: `sub reason ${LOOKS[one.status] === "bad" ? "bad" : ""}` }, one.reason)] : null];
}

// The list of things

const drawn = new Map(); // name of a thing → version of its row in the document

/** A row; one that is in the document already is not made again, because there may be many. */
function thingRow(one) {
  const version = `${one.number} ${ago(one.seenAt)}`;
  const properties = { "data-key": one.name, "data-version": version };
  if (drawn.get(one.name) === version) return el("tr", properties);
  return el("tr", properties,
    el("th", { scope: "row" }, link("thing", one.name),
      one.groups.length ? el("div", { class: "sub wide" }, one.groups.join(", ")) : null,
      el("div", { class: "sub narrow" }, runs(one)),
      one.connected === false ? el("div", { class: "sub narrow" }, connection(one)) : null),
    el("td", { class: "wide" }, one.interpreter, one.slot ? el("span", { class: "sub" }, ` ${one.slot}`) : "",
      one.trial ? el("div", { class: "sub wait" }, "on trial") : el("div", { class: "sub" }, one.board)),
    el("td", { class: "wide" }, one.agent), el("td", { class: "wide" }, one.app),
    el("td", {}, one.job ? outcome(one.job, one.name, link("job", one.job.job)) : el("span", { class: "soft" }, "none")),
    el("td", { class: "wide" }, connection(one), el("div", { class: "sub" }, when(one.seenAt))));
}

function thingsView() {
  drawn.clear();
  for (const { dataset } of document.querySelectorAll("#main tr[data-version]")) {
    drawn.set(dataset.key, dataset.version);
  }
  const all = state.index.things.map((name) => state.things.get(name)).filter(Boolean);
  const found = all.filter((one) => FILTERS[state.filter][1](one)
    && `${one.name} ${one.groups.join(" ")}`.toLowerCase().includes(state.search));
  const buttons = Object.entries(FILTERS).map(([name, [text, suits]]) => el("button", {
    type: "button", "aria-pressed": String(state.filter === name),
    onclick: () => { state.filter = name; draw(); },
  }, `${text} ${count(all.filter(suits).length)}`));
  const columns = [["Thing", ""], ["Interpreter", "wide"], ["Agent", "wide"], ["Application", "wide"],
    ["Last job", ""], ["Connection", "wide"]];
  return el("div", { class: "columns" },
    el("section", { class: "sheet", "aria-labelledby": "things" },
      el("h1", { id: "things", class: "unseen" }, "Things"),
      el("div", { class: "filters", role: "group", "aria-label": "Which things" },
        el("input", { type: "search", placeholder: "Name or group", "aria-label": "Name or group",
          oninput: (event) => { state.search = event.target.value.toLowerCase(); draw(); } }),
        buttons),
      found.length ? el("table", { class: "things" },
        el("caption", { class: "unseen" }, "Things, what runs on them, and their last jobs"),
        el("thead", {}, el("tr", {},
          columns.map(([text, look]) => el("th", { scope: "col", class: look }, text)))),
        el("tbody", {}, found.map(thingRow)))
        : el("p", { class: "soft" }, all.length ? "No thing is like that." : "There are no things yet.")),
    el("section", { class: "sheet", "aria-labelledby": "latest" },
      el("h2", { id: "latest" }, "Latest jobs"), jobList(LATEST)));
}

function jobList(limit) {
  const jobs = state.index.jobs.slice(0, limit).map((name) => state.jobs.get(name)).filter(Boolean);
  if (!jobs.length) return el("p", { class: "soft" }, "There are no jobs yet.");
  return el("ul", { class: "list" }, jobs.map((one) => el("li", { "data-key": one.name },
    el("div", { class: "row" }, link("job", one.name), el("span", { class: "sub" }, when(one.createdAt))),
    outcomes(one),
    el("div", { class: "sub" }, words(one.counted), one.targets.length ? ` · ${one.targets.join(", ")}` : ""))));
}

function outcomes(one) {
  const made = el("div", { class: "outcomes", "aria-hidden": "true" });
  for (const [name, number] of one.outcomes) {
    const part = el("span", { class: LOOKS[name] ?? "idle" });
    part.style.flexGrow = number;
    part.dataset.key = name;
    made.append(part);
  }
  return made;
}

// Jobs

function jobsView() {
  return el("section", { class: "sheet", "aria-labelledby": "jobs" },
    el("h1", { id: "jobs", class: "unseen" }, "Jobs"), jobList(Infinity));
}

function jobView(one) {
  const facts = [
    ["Job itself", status(one.status)],
    ["Targets", one.targets.join(", ")], ["Brings", one.kind && [one.kind, one.size ? `, ${kib(one.size)}` : ""]],
    ["Description", one.description], ["Comment", one.comment],
    ["Continuous", one.continuous ? "yes: it goes to new members of its groups" : ""],
    ["Created", when(one.createdAt)], ["Changed", when(one.changedAt)], ["Completed", when(one.completedAt)],
  ];
  return [el("div", { class: "title" }, el("h1", {}, one.name), el("p", {}, words(one.counted))),
    el("div", { class: "columns" },
      el("section", { class: "sheet", "aria-labelledby": "executions" },
        el("h2", { id: "executions" }, "What became of it"), outcomes(one),
        one.executions.length ? el("table", {},
          el("caption", { class: "unseen" }, "What became of it, thing by thing"),
          el("thead", {}, el("tr", {}, ["Thing", "Outcome", "Changed"].map((text) =>
            el("th", { scope: "col" }, text)))),
          el("tbody", {}, one.executions.map((row) => el("tr", { "data-key": row.thing },
            el("th", { scope: "row" }, link("thing", row.thing)),
            el("td", {}, outcome(row, row.thing)),
            el("td", { class: "sub" }, when(row.changedAt))))))
          : el("p", { class: "soft" }, "No thing has heard of it yet."),
        one.more ? el("p", { class: "sub" }, `and ${count(one.more)} more`) : null),
      el("section", { class: "sheet", "aria-labelledby": "facts" },
        el("h2", { id: "facts" }, "Job"), list(facts)))];
}

const list = (facts) => el("dl", {}, facts.filter(([, value]) => value != null && value !== "")
  .flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));

// One thing

function thingView(one) {
  return [el("div", { class: "title" }, el("h1", {}, one.name), connection(one),
    one.trial ? chip("wait", "on trial") : null,
    el("p", {}, [one.board, one.kind, ...one.groups].filter(Boolean).join(" · "))),
  el("div", { class: "columns" },
    el("div", { class: "stack" }, updateSheet(one), el("div", { class: "pair" },
      curve("Heap", one.heap, "free", kib), curve("Speed", one.speed, "a second", kib)), logSheet(one)),
    el("div", { class: "stack" }, factsSheet(one), failuresSheet(one), settingsSheet(one)))];
}

function updateSheet(one) {
  const job = one.job;
  return el("section", { class: "sheet", "aria-labelledby": "update" },
    el("h2", { id: "update" }, "Last job ", job ? el("small", {}, link("job", job.job)) : null),
    job ? [el("div", {}, outcome({ ...job, total: null }, one.name)), stepList(job)]
      : el("p", { class: "soft" }, "It had none."),
    el("div", { class: "pair legend" }, slots(one)));
}

function stepList(job) {
  const at = STEPS.indexOf(job.step.toLowerCase());
  if (at < 0) return null;
  return el("ol", { class: "steps", "aria-label": "Steps" }, STEPS.map((name, n) => el("li", {
    class: n < at || job.status === "SUCCEEDED" ? "past" : null,
    "aria-current": n === at && job.status !== "SUCCEEDED" ? "step" : null,
  }, name)));
}

function slots(one) {
  const filling = one.filling;
  const running = el("figure", {},
    el("figcaption", {}, el("b", {}, one.slot || "The slot"),
      one.trial ? chip("wait", "runs on trial") : chip("good", "runs")),
    el("div", { class: "whole runs" }, one.interpreter
      ? [el("b", {}, one.interpreter), "interpreter"] : "version not told"));
  if (!filling?.total) return one.slot === "ota_1" ? [idleSlot(one), running] : [running, idleSlot(one)];
  if (filling.kind !== "image") return [running, map(one, filling)];
  const pair = filling.runs ? [map(one, filling), idleSlot(one)] : [running, map(one, filling)];
  return one.slot === "ota_1" ? pair.reverse() : pair;
}

function idleSlot(one) {
  const name = one.slot === "ota_0" ? "ota_1" : one.slot === "ota_1" ? "ota_0" : "The other slot";
  return el("figure", {}, el("figcaption", {}, el("b", {}, name), chip("idle", "waits")),
    el("div", { class: "whole" }, "Nothing is being written."));
}

function map(one, filling) {
  const { done, total, unit, kind, runs } = filling;
  const failed = LOOKS[one.job.status] === "bad";
  const each = Math.ceil(total / CELLS);
  const cells = Array.from({ length: Math.ceil(total / each) }, (_, n) => el("i", {
    class: Math.min((n + 1) * each, total) <= done ? "full" : n * each < done ? "part" : null,
  }));
  const text = `${count(done)} of ${count(total)} ${unit}`;
  const look = runs ? " ended" : failed ? " failed" : "";
  const name = kind === "image" ? filling.slot || (runs ? "The slot" : "The other slot") : `Tree of the ${kind}`;
  const word = runs ? (one.trial ? chip("wait", "runs on trial") : chip("good", "runs"))
    : failed ? chip("bad", "given up") : one.job.status === "QUEUED" ? chip("idle", "waits")
      : chip("busy", one.job.step === "downloading" ? "is being filled" : one.job.step);
  const square = unit === "sectors" ? kib(each * SECTOR) : `${count(each)} ${unit}`;
  return el("figure", {},
    el("figcaption", {}, el("b", {}, kind === "files" ? "Files" : name), word),
    el("div", { class: `map${look}`, role: "img", "aria-label": `${text} are written` }, cells),
    el("div", { class: "sub legend row figures" }, el("span", {}, text), el("span", {}, `■ = ${square}`)));
}

function curve(name, points, what, words) {
  const id = `curve-${name}`;
  if (points.length < 2) {
    return el("section", { class: "sheet", "aria-labelledby": id }, el("h2", { id }, name),
      el("p", { class: "soft" }, points.length ? `${words(points[0][1])} ${what}` : "Nothing told yet."));
  }
  const values = points.map(([, value]) => value);
  const [low, high, last] = [Math.min(...values), Math.max(...values), values.at(-1)];
  const [from, to] = [points[0][0], points.at(-1)[0]];
  const x = (at) => ((100 * (at - from)) / (to - from || 1)).toFixed(2);
  const y = (value) => (36 - (32 * (value - low)) / (high - low || 1)).toFixed(2);
  const path = points.map(([at, value], n) => `${n ? "L" : "M"}${x(at)} ${y(value)}`).join("");
  const text = `${words(last)} ${what}, least ${words(low)}, most ${words(high)}`;
  return el("section", { class: "sheet", "aria-labelledby": id },
    el("h2", { id }, name, " ", el("small", {}, `${words(last)} ${what}`)),
    svg("svg", { class: "curve", viewBox: "0 0 100 40", preserveAspectRatio: "none", role: "img",
      "aria-label": text }, svg("path", { d: path })),
    el("div", { class: "row sub figures" }, el("span", {}, `${words(low)} to ${words(high)}`),
      el("span", {}, lasting(to - from))));
}

function factsSheet(one) {
  const facts = [
    ["Interpreter", one.interpreter && [one.interpreter, one.slot ? ` in ${one.slot}` : ""]],
    ["MicroPython", one.micropython],
    ["Agent", one.agent && [one.agent, tree(one, "agent")]],
    ["Application", one.app && [one.app, tree(one, "app")]],
    ["Heap", one.free != null ? `${kib(one.free)} free` : ""],
    ["Signal", one.rssi != null ? `${one.rssi} dBm` : ""],
    ["Last reset", one.reset], ["Seen", when(one.seenAt)],
    ["Disconnected", one.connected === false ? one.disconnectReason : ""],
    ...one.attributes,
  ];
  return el("section", { class: "sheet", "aria-labelledby": "runs" },
    el("h2", { id: "runs" }, "What runs"), list(facts));
}

/** The two trees of the agent or the application, and which of them runs. */
function tree(one, kind) {
  const label = one.trees.split("+").find((text) => text.startsWith(`${kind}.`));
  const runs = label?.slice(kind.length + 1);
  if (!["a", "b"].includes(runs)) return null;
  return el("span", { class: "trees", role: "img", "aria-label": `from tree ${runs} of two` },
    ["a", "b"].map((name) => el("span", { class: name === runs ? "runs" : null }, name)));
}

function failuresSheet(one) {
  if (!one.failures.length) return null;
  return el("section", { class: "sheet", "aria-labelledby": "failures" },
    el("h2", { id: "failures" }, "Failures"),
    el("ul", { class: "list" }, one.failures.map((text) => el("li", { class: "sub" }, text))));
}

function settingsSheet(one) {
  if (!one.settings.length) return null;
  return el("section", { class: "sheet", "aria-labelledby": "settings" },
    el("h2", { id: "settings" }, "Settings"), list(one.settings));
}

function logSheet(one) {
  const looks = { W: "warn", E: "error" };
  return el("section", { class: "sheet", "aria-labelledby": "log" }, el("h2", { id: "log" }, "Log"),
    one.log.length ? el("ol", { class: "log mono", tabindex: "0", "aria-labelledby": "log" },
      one.log.map((line) => el("li", { class: looks[/^([A-Z]) /.exec(line)?.[1]] }, line)))
      : el("p", { class: "soft" }, "No warning and no error since its start."));
}

// What is looked at

function route() {
  const [, kind, name] = /^#\/(thing|job)\/(.+)$/.exec(location.hash) ?? [];
  try {
    if (kind) return { kind, name: decodeURIComponent(name) };
  } catch { /* an address that somebody typed */ }
  return { kind: location.hash === "#/jobs" ? "jobs" : "things" };
}

function view() {
  if (state.entered === false) return locked();
  if (!state.index) return [el("h1", {}, "Fleet"), el("p", { class: "soft" }, "Reading how it stands.")];
  const { kind, name } = route();
  if (kind === "things") return thingsView();
  if (kind === "jobs") return jobsView();
  if (state.details?.name !== name) return [el("h1", {}, name), el("p", { class: "soft" }, "Reading about it.")];
  if (state.details.error) return [el("h1", {}, name), el("p", { class: "note trouble" }, state.details.error)];
  return kind === "thing" ? thingView(state.details) : jobView(state.details);
}

function locked() {
  return el("section", { class: "sheet" }, el("h1", {}, "This address does not open the page any more"),
    el("p", {}, "An address opens the page once, in the first 15 minutes. This command prints a new one:"),
    el("p", {}, el("code", {}, "sluice fleet --web")));
}

let waiting = false;
function draw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    const notes = state.entered ? (state.index?.notes ?? []) : [];
    const main = document.getElementById("main").cloneNode(false);
    main.append(...[state.trouble && el("p", { class: "note trouble", role: "alert" }, state.trouble),
      ...notes.map((text) => el("p", { class: "note" }, text)), view()].flat().filter(Boolean));
    patch(document.getElementById("main"), main);
    for (const row of document.querySelectorAll("#main tr[data-version]:empty")) {
      delete row.dataset.version; // it was not where it was looked for
      draw();
    }
    document.getElementById("where").textContent = state.index?.name ?? "";
    const { kind, name } = route();
    for (const one of document.querySelectorAll("nav a")) {
      const here = one.hash === (kind === "job" || kind === "jobs" ? "#/jobs" : "#/");
      here ? one.setAttribute("aria-current", name ? "true" : "page") : one.removeAttribute("aria-current");
    }
    document.title = `${name ?? (kind === "jobs" ? "Jobs" : "Things")} · Sluice`;
  });
}

// What comes

let source = null;
let arrivals = 0;
function listen() {
  source?.close();
  const { kind, name } = route();
  source = new EventSource(`events${name ? `/${kind}/${encodeURIComponent(name)}` : ""}`);
  const heard = {
    index: (shape) => {
      state.index = shape;
      state.trouble = "";
      for (const [kept, names] of [[state.things, shape.things], [state.jobs, shape.jobs]]) {
        const there = new Set(names);
        for (const key of kept.keys()) if (!there.has(key)) kept.delete(key);
      }
    },
    thing: (shape) => {
      tell(state.things.get(shape.name), shape);
      state.things.set(shape.name, { ...shape, number: ++arrivals });
    },
    job: (shape) => state.jobs.set(shape.name, shape),
    "thing-details": (shape) => { state.details = shape; },
    "job-details": (shape) => { state.details = shape; },
    trouble: (shape) => { state.trouble = shape.text; },
  };
  for (const [event, take] of Object.entries(heard)) {
    source.addEventListener(event, ({ data }) => { take(JSON.parse(data)); draw(); });
  }
  source.onopen = () => said("live", "Live");
  source.onerror = () => {
    said("lost", "Connection lost, trying again");
    if (source.readyState === EventSource.CLOSED) setTimeout(begin, 2000);
  };
}

/** Say how a job ended, or that a thing came or went, to who cannot see it. */
function tell(before, now) {
  if (!before) return;
  const said = [];
  if (now.job && (before.job?.job !== now.job.job || before.job?.status !== now.job.status)) {
    said.push(`${now.name}: ${words(now.job.status)}${now.job.reason ? `, ${now.job.reason}` : ""}`);
  }
  if (before.connected !== now.connected && now.connected != null) {
    said.push(`${now.name}: ${now.connected ? "connected" : "not connected"}`);
  }
  if (said.length) document.getElementById("news").textContent = said.join(". ");
}

function said(look, text) {
  const place = document.getElementById("link");
  if (place.textContent !== text) place.textContent = text;
  place.className = look;
}

/** Give the token of the address for a cookie, where there is one, and listen. */
async function begin() {
  const token = /^#([A-Za-z0-9]+)$/.exec(location.hash)?.[1];
  if (token) history.replaceState(null, "", "#/");
  try {
    const asked = token ? await fetch("session", { method: "POST", body: token }) : { ok: false };
    const answer = asked.ok ? asked : await fetch("session");
    state.entered = answer.ok;
  } catch {
    said("lost", "Connection lost, trying again");
    setTimeout(begin, 2000);
    return;
  }
  if (state.entered) listen();
  else said("lost", "Not open");
  draw();
}

// Colours

function paint(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

const theme = localStorage.getItem("theme") ?? "auto";
paint(theme);
for (const input of document.querySelectorAll("#theme input")) {
  input.checked = input.value === theme;
  input.addEventListener("change", () => {
    localStorage.setItem("theme", input.value);
    paint(input.value);
  });
}
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("main").focus();
});
window.addEventListener("hashchange", () => {
  if (!location.hash.startsWith("#/")) { begin(); return; }
  state.details = null;
  if (state.entered) listen();
  draw();
  document.getElementById("main").focus();
  window.scrollTo(0, 0);
});
setInterval(draw, 10_000);
begin();
