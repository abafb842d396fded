// What htmx does not do: the connection, the clock, new messages in a scrolled list, copying, the theme, keys.
"use strict";

const $ = (selector, from = document) => from.querySelector(selector);
let position = "";
let unseen = 0;

// ---- The connection. A new one goes on where the last one ended.
htmx.createEventSource = (url) => {
  const address = new URL(url, location.href);
  if (position) address.searchParams.set("after", position);
  return new EventSource(address, { withCredentials: true });
};

function remember(event) {
  if (event.detail?.lastEventId) position = event.detail.lastEventId;
}

function setLive(isLive) {
  const live = $("#live");
  if (isLive === (live.dataset.live !== "lost")) return;
  if (isLive) {
    delete live.dataset.live;
    $(".notice")?.remove();
  } else {
    live.dataset.live = "lost";
    const notice = $("#lost").content.cloneNode(true);
    $("[data-last]", notice).textContent = $(".clock-time").textContent;
    $(".strip").after(notice);
  }
  $("span", live).textContent = isLive ? "Live" : "Not connected";
  $("#main").classList.toggle("stale", !isLive);
  for (const control of document.querySelectorAll("form[method=post] :is(button, select, input)")) {
    control.disabled = !isLive;
  }
}

document.addEventListener("htmx:sseOpen", () => setLive(true));
document.addEventListener("htmx:sseError", () => setLive(false));
document.addEventListener("htmx:sendError", () => toast("The sandbox does not answer", "xcircle"));
document.addEventListener("htmx:sseMessage", remember);

// At / only those who accept HTML get the inbox; all others get the service.
document.addEventListener("htmx:configRequest", ({ detail }) => {
  detail.headers.Accept = "text/html";
});

// ---- New messages
document.addEventListener("htmx:sseBeforeMessage", (event) => {
  const { type, data } = event.detail;
  remember(event);
  if (type === "reload") {
    event.preventDefault();
    location.reload();
  } else if (type === "message") {
    const key = /id="m(\d+)"/.exec(data)?.[1];
    const scroller = $(".list-scroll");
    if (document.getElementById(`m${key}`)) {
      event.preventDefault();
    } else if (scroller.scrollTop > 40 || scrollY > 200) {
      event.preventDefault();
      announce(unseen + 1);
    }
  }
});

document.addEventListener("htmx:sseMessage", (event) => {
  if (event.detail.type !== "message") return;
  const row = $("#newest .row");
  if (row) toast(`New message to ${$(".row-to b", row).textContent}`, "", true);
  if (document.hidden) title(unseen + 1);
});

function announce(count) {
  unseen = count;
  const bar = $("#newbar");
  bar.hidden = !count;
  $("span", bar).textContent = count === 1 ? "1 new message" : `${count} new messages`;
}

function title(count) {
  unseen = count;
  document.title = document.title.replace(/^(\(\d+\) )?/, count ? `(${count}) ` : "");
}

document.addEventListener("visibilitychange", () => document.hidden || title(0));

// ---- The message beside the list
function showChosen() {
  const key = $("#message [data-key]")?.dataset.key;
  for (const row of document.querySelectorAll(".row[aria-current]")) row.removeAttribute("aria-current");
  document.getElementById(`r${key}`)?.setAttribute("aria-current", "true");
}

document.addEventListener("htmx:afterSwap", (event) => {
  const { target } = event.detail;
  if (target?.id === "message") {
    $("#main").dataset.show = "message";
    const row = document.activeElement.closest?.(".row");
    row?.classList.remove("is-new");
    if (matchMedia("(width < 64rem)").matches) {
      scrollTo(0, 0);
      $("#message .back")?.focus();
    } else {
      $("#message").scrollTop = 0;
    }
  }
  if (target?.id === "message" || target?.id === "list") showChosen();
});

// ---- The clock goes on by itself between two events
let clock = null;

function readClock() {
  const face = $(".clock-face time");
  clock = { now: Number(face.dataset.now), speed: Number(face.dataset.speed), at: performance.now() };
}

function tick() {
  if ($("#live").dataset.live === "lost") return;
  const now = new Date((clock.now + ((performance.now() - clock.at) / 1000) * clock.speed) * 1000);
  const time = now.toISOString().slice(11, 19);
  for (const face of document.querySelectorAll(".clock-time")) {
    if (face.textContent !== time) face.textContent = time;
  }
}

document.addEventListener("htmx:sseMessage", (event) => {
  if (event.detail.type !== "clock") return;
  readClock();
  tick();
  $(".strip-toggle .ahead").textContent = $(".clock-date span:last-child").textContent;
});
readClock();
setInterval(tick, 200);

// ---- Short messages
function toast(text, icon = "check", isSilent = false) {
  const line = document.createElement("p");
  line.className = isSilent ? "vh" : "toast";
  if (icon === "xcircle") line.dataset.kind = "error";
  if (icon) {
    const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    picture.setAttribute("class", "icon");
    picture.setAttribute("aria-hidden", "true");
    const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    use.setAttribute("href", `#i-${icon}`);
    picture.append(use);
    line.append(picture);
  }
  line.append(text);
  $("#toasts").append(line);
  setTimeout(() => line.remove(), 3500);
}

document.addEventListener("toast", ({ detail }) => toast(detail.text, detail.kind ? "xcircle" : "check"));

// ---- Clicks
document.addEventListener("click", async ({ target }) => {
  const copy = target.closest("[data-copy]");
  if (copy) {
    try {
      await navigator.clipboard.writeText(copy.dataset.copy);
      toast(`Copied: ${copy.dataset.copy.split("\n")[0].slice(0, 60)}`);
    } catch {
      toast("The browser did not allow copying", "xcircle");
    }
  } else if (target.closest("[data-theme-switch]")) {
    const root = document.documentElement;
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isDark ? "light" : "dark";
    document.cookie = `smsc_sandbox_theme=${root.dataset.theme}; Path=/; SameSite=Strict; Max-Age=31536000`;
  } else if (target.closest("[data-reload]")) {
    location.reload();
  } else if (target.closest("#newbar")) {
    announce(0);
    $(".list-scroll").scrollTop = 0;
    scrollTo(0, 0);
    htmx.ajax("GET", location.pathname.startsWith("/_sandbox/messages") ? "/" : location.href, {
      target: "#list",
      select: "#list",
      swap: "outerHTML",
    });
  }
});

// ---- Keys: / for the search, j and k for the next and the previous row
document.addEventListener("keydown", (event) => {
  if (event.target.matches("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") {
    event.preventDefault();
    $("input[type=search]")?.focus();
  } else if (event.key === "j" || event.key === "k") {
    const rows = [...document.querySelectorAll(".row")];
    const at = rows.indexOf(document.activeElement);
    rows[event.key === "j" ? at + 1 : Math.max(0, at - 1)]?.focus();
  }
});
