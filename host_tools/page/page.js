// The fleet as a page: state comes by server-sent events, is drawn anew, and only what differs is
// put into the document. Everything that came over the wire is put in as text, never as HTML.

const CELLS = 512; // squares of a map, at most
const SECTOR = 4096; // bytes
const SHORT = 12; // characters of a name that stays in one line
const LATEST = 8; // jobs beside the things
const STEPS = ["accepted", "downloading", "applying", "trying", "succeeded"];
const NOT_SEEN = { Heap: "Nothing told yet.", Speed: "No download was seen since this page was opened." };
const LOOKS = {
  SUCCEEDED: "good", FAILED: "bad", REJECTED: "bad", TIMED_OUT: "bad", CANCELED: "idle",
  REMOVED: "idle", QUEUED: "idle", IN_PROGRESS: "busy", COMPLETED: "idle", SCHEDULED: "idle",
};
const FILTERS = {
  all: ["All", () => true],
  connected: ["Connected", (one) => one.connected],
  offline: ["Offline", (one) => !one.connected],
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

const told = (at) => at == null ? "nothing told yet" : `told ${ago(at).replace("now", "just now")}`;
const since = (at) => ago(at) === "now" ? "" : `for ${ago(at).replace(" ago", "")}`;
const lasting = (seconds) => seconds < 120 ? `${Math.max(1, Math.round(seconds))} s`
  : seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;

function when(at, text = ago(at)) {
  if (at == null) return "";
  const date = new Date(at * 1000);
  return el("time", { datetime: date.toISOString(), title: date.toLocaleString() }, text);
}

/** A name or a version. A long one goes on in another line, after a sign within it where it can. */
const parted = (name) => name.length <= SHORT ? [name && el("span", { class: "whole-word" }, name)]
  : name.split(/(?<=[_.-])/).flatMap((part, n) => n ? [el("wbr"), part] : [part]);
const chip = (look, text) => el("span", { class: `state ${look}` }, text);
const status = (name) => chip(LOOKS[name] ?? "idle", words(name));
const link = (kind, name) => el("a", { href: `#/${kind}/${encodeURIComponent(name)}` }, name);
const isNew = (one) => one.connected === false && one.connectedAt == null && one.toldAt == null;
const grouped = (one) => `${one.groups.length > 1 ? "groups" : "group"} ${one.groups.join(", ")}`;

/** Whether a thing is connected now, and where it is not, since when. */
function connection(one) {
  if (one.connected == null) return chip("idle", "connection unknown");
  if (one.connected) return chip("good", "connected");
  if (one.connectedAt == null) return chip("idle", isNew(one) ? "never connected" : "offline");
  return chip("idle", when(one.connectedAt, `offline ${since(one.connectedAt)}`));
}

const STOPPED = new Map([["failed", "bad"], ["ended", "wait"]]); // states of an application → looks

/** That an application does not run any more. */
const stopped = (one, look, before = "") => STOPPED.get(one.appState)
  && el("div", { class: `sub ${look} ${STOPPED.get(one.appState)}` }, `${before}${one.appState}`);

function runs(one) {
  const parts = [["board", one.board], ["image", one.image], ["agent", one.agent], ["app", one.app]];
  const known = parts.filter(([, text]) => text);
  return known.length ? known.map(([name, text]) => [el("span", { class: "part" }, `${name} `, parted(text)), " "])
    : "nothing told yet";
}

/** What to type so that the board of a thing comes to life. */
function commands(one) {
  const where = state.index.where || "--state DIR";
  const line = (name, ...words) => el("div", {}, `${name}: `, el("code", {}, words
    .map((word) => [el("span", { class: "word" }, word), " "])));
  return [
    line("A simulated board", "sluice device run", one.name, where),
    line("A real board", "sluice flash", "--port PORT", `--thing ${one.name}`, where),
  ];
}

function bar(one, label) {
  if (one.status !== "IN_PROGRESS" || one.total == null) return null;
  const share = `${Math.floor((100 * one.done) / one.total)} %`;
  return [
    el("progress", { max: one.total, value: one.done, "aria-label": `${label}: download` }),
    el("span", { class: "sub figures" }, `${share}, ${count(one.done)} of ${count(one.total)} blocks`),
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
  const version = `${one.number} ${ago(one.toldAt)} ${ago(one.connectedAt)}`;
  const properties = { "data-key": one.name, "data-version": version };
  if (drawn.get(one.name) === version) return el("tr", properties);
  return el("tr", properties,
    el("th", { scope: "row" }, link("thing", one.name),
      one.groups.length ? el("div", { class: "sub wide" }, grouped(one)) : null,
      el("div", { class: "sub narrow" }, runs(one)), stopped(one, "narrow", "application "),
      one.connected === false ? el("div", { class: "sub narrow" }, connection(one)) : null),
    isNew(one) ? el("td", { class: "wide sub", colspan: "4" }, el("div", { class: "fit" }, commands(one)))
      : [el("td", { class: "wide" }, parted(one.board)), el("td", { class: "wide" }, parted(one.image),
        one.trial ? el("div", { class: "sub wait" }, "on trial") : null,
        one.slot ? el("div", { class: "sub" }, `in ${one.slot}`) : null),
      el("td", { class: "wide" }, parted(one.agent)), el("td", { class: "wide" }, parted(one.app), stopped(one, ""))],
    el("td", {}, one.job ? outcome(one.job, one.name, link("job", one.job.job)) : el("span", { class: "soft" }, "none")),
    el("td", { class: "wide" }, connection(one), el("div", { class: "sub" }, when(one.toldAt, told(one.toldAt)) || told(null))));
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
  const columns = [["Thing", ""], ["Board", "wide"], ["Image", "wide"], ["Agent", "wide"],
    ["App", "wide"], ["Last job", ""], ["Connection", "wide"]];
  return el("div", { class: "columns overview" },
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

const list = (facts) => el("dl", {}, facts.filter(([, value]) => value != null && String(value) !== "")
  .flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));

// One thing

function thingView(one) {
  const about = [one.board && `board ${one.board}`, one.kind && `type ${one.kind}`,
    one.groups.length && grouped(one)];
  return [el("div", { class: "title" }, el("h1", {}, one.name), connection(one),
    one.trial ? chip("wait", "on trial") : null,
    one.appState === "failed" ? chip("bad", "application failed") : null,
    el("p", {}, when(one.toldAt, told(one.toldAt)) || told(null)), el("p", {}, about.filter(Boolean).join(" · "))),
  isNew(one) ? el("div", { class: "stack" }, newSheet(one), one.job ? updateSheet(one) : null)
    : el("div", { class: "columns" },
    el("div", { class: "stack" }, updateSheet(one), el("div", { class: "pair" },
      curve("Heap", one.heap, one.heapAt, "free"), curve("Speed", one.speed, one.speed.at(-1)?.[0], "a second")),
    logSheet(one)),
    el("div", { class: "stack" }, factsSheet(one), failuresSheet(one), settingsSheet(one)))].filter(Boolean);
}

function newSheet(one) {
  return el("section", { class: "sheet", "aria-labelledby": "new" },
    el("h2", { id: "new" }, "It has never connected"),
    el("p", {}, "Its board is not switched on, or does not have the files of this thing yet. One of these starts it:"),
    commands(one));
}

function updateSheet(one) {
  const job = one.job;
  return el("section", { class: "sheet", "aria-labelledby": "update" },
    el("h2", { id: "update" }, "Last job ", job ? el("small", {}, link("job", job.job)) : null),
    job ? [el("div", {}, outcome(job, one.name)), stepList(job)]
      : el("p", { class: "soft" }, "No job yet."),
    el("div", { class: "pair legend" }, one.slots.map((slot) => slotFigure(one, slot))));
}

function stepList(job) {
  const at = STEPS.indexOf(job.step.toLowerCase());
  if (at < 0) return null;
  return el("ol", { class: "steps", "aria-label": "Steps" }, STEPS.map((name, n) => el("li", {
    class: n < at || job.status === "SUCCEEDED" ? "past" : null,
    "aria-current": n === at && job.status !== "SUCCEEDED" ? "step" : null,
  }, name)));
}

function slotFigure(one, slot) {
  const { map, name, version, look, word, text } = slot;
  return el("figure", {},
    el("figcaption", {}, el("span", {}, el("b", {}, name), map && version ? ` ${version}` : ""), chip(look, word)),
    map ? mapOf(one.filling, look) : el("div", { class: `whole ${look === "idle" || look === "bad" ? "" : "runs"}` },
      version ? el("b", {}, version) : null, text),
    map && text ? el("div", { class: "sub" }, text) : null);
}

function mapOf(filling, look) {
  const { done, total, unit, runs } = filling;
  const each = Math.ceil(total / CELLS);
  const cells = Array.from({ length: Math.ceil(total / each) }, (_, n) => el("i", {
    class: Math.min((n + 1) * each, total) <= done ? "full" : n * each < done ? "part" : null,
  }));
  const text = `${count(done)} of ${count(total)} ${unit}`;
  const square = `${each > 1 ? count(each) : 1} ${each > 1 ? unit : unit.slice(0, -1)}`;
  const size = unit === "sectors" ? `, ${kib(each * SECTOR)}` : "";
  return [
    el("div", { class: `map${runs ? " ended" : look === "bad" ? " failed" : ""}`, role: "img",
      "aria-label": `${text} are written` }, cells),
    el("div", { class: "sub legend row figures" }, el("span", {}, `${text} are written`),
      el("span", {}, `■ = ${square}${size}`))];
}

function curve(name, points, at, what) {
  const id = `curve-${name}`;
  const words = kib;
  if (points.length < 2) {
    return el("section", { class: "sheet", "aria-labelledby": id }, el("h2", { id }, name),
      el("p", { class: "soft" }, points.length ? `${words(points[0][1])} ${what}, ${told(at)}` : NOT_SEEN[name]));
  }
  const values = points.map(([, value]) => value);
  const [low, high, last] = [Math.min(...values), Math.max(...values), values.at(-1)];
  const [from, to] = [points[0][0], points.at(-1)[0]];
  const x = (at) => ((100 * (at - from)) / (to - from || 1)).toFixed(2);
  const y = (value) => (36 - (32 * (value - low)) / (high - low || 1)).toFixed(2);
  const path = points.map(([at, value], n) => `${n ? "L" : "M"}${x(at)} ${y(value)}`).join("");
  const text = `${words(last)} ${what}, least ${words(low)}, most ${words(high)}`;
  return el("section", { class: "sheet", "aria-labelledby": id },
    el("h2", { id }, name, " ", el("small", {}, `${words(last)} ${what}, ${told(at)}`)),
    svg("svg", { class: "curve", viewBox: "0 0 100 40", preserveAspectRatio: "none", role: "img",
      "aria-label": text }, svg("path", { d: path })),
    el("div", { class: "row sub figures" }, el("span", {}, `${words(low)} to ${words(high)}`),
      el("span", {}, `within ${lasting(to - from)}`)));
}

function factsSheet(one) {
  const facts = [
    ["Board", parted(one.board)],
    ["Image", one.image && [parted(one.image), one.slot ? ` in ${one.slot}` : ""]],
    ["MicroPython", one.micropython],
    ["Agent", one.agent && [one.agent, tree(one, "agent")]],
    ["Application", (one.app || one.appState) && [one.app || "no version", one.app ? tree(one, "app") : "",
      one.appState ? el("span", { class: STOPPED.get(one.appState) || "soft" }, ` ${one.appState}`) : ""]],
    ["Signal", one.rssi != null ? `${one.rssi} dBm` : ""],
    ["Last reset", one.reset],
    [one.connected ? "Connected" : "Offline", one.connected == null ? "" : when(one.connectedAt, since(one.connectedAt) || "just now")],
    ["Why offline", one.connected === false ? words(one.disconnectReason) : ""],
    ...one.attributes,
  ];
  return el("section", { class: "sheet", "aria-labelledby": "runs" },
    el("h2", { id: "runs" }, "What runs"),
    list(facts));
}

/** The two trees of the agent or the application, and which of them runs. */
function tree(one, kind) {
  const label = one.trees.split("+").find((text) => text.startsWith(`${kind}.`));
  const runs = label?.slice(kind.length + 1);
  if (!["a", "b"].includes(runs)) return null;
  return [el("span", { class: "sub", "aria-hidden": "true" }, " tree"),
    el("span", { class: "trees", role: "img", "aria-label": `from tree ${runs} of two` },
      ["a", "b"].map((name) => el("span", { class: name === runs ? "runs" : null }, name)))];
}

function failuresSheet(one) {
  if (!one.failures.length) return null;
  return el("section", { class: "sheet", "aria-labelledby": "failures" },
    el("h2", { id: "failures" }, "Failures ", el("small", {}, "the newest first")),
    el("ul", { class: "list" }, one.failures.map(([at, text]) => el("li", {},
      el("div", { class: "sub" }, at == null ? "at a time that the board did not know" : when(at)), text))));
}

function settingsSheet(one) {
  if (!one.settings.length) return null;
  return el("section", { class: "sheet", "aria-labelledby": "settings" },
    el("h2", { id: "settings" }, "Settings"), list(one.settings));
}

function logSheet(one) {
  const looks = { W: "warn", E: "error" };
  return el("section", { class: "sheet", "aria-labelledby": "log" }, el("h2", { id: "log" }, "Log ",
    el("small", {}, "warnings and errors, and the milliseconds since the start")),
    one.log.length ? el("ol", { class: "log mono", tabindex: "0", "aria-labelledby": "log" },
      one.log.map((line) => el("li", { class: looks[/^([A-Z]) /.exec(line)?.[1]] }, line)))
      : el("p", { class: "soft" }, one.toldAt == null ? "Nothing told yet." : "None since its start."));
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

/** Say how a job or an application ended, or that a thing came or went, to who cannot see it. */
function tell(before, now) {
  if (!before) return;
  const said = [];
  if (now.job && (before.job?.job !== now.job.job || before.job?.status !== now.job.status)) {
    said.push(`${now.name}: ${words(now.job.status)}${now.job.reason ? `, ${now.job.reason}` : ""}`);
  }
  if (before.connected !== now.connected && now.connected != null) {
    said.push(`${now.name}: ${now.connected ? "connected" : "offline"}`);
  }
  if (STOPPED.has(now.appState) && before.appState !== now.appState) said.push(`${now.name}: application ${now.appState}`);
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
