// What scripts add to pages that are complete without them.

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    const text = button.firstChild;
    text.data = "Copied";
    setTimeout(() => { text.data = "Copy"; }, 2000);
  });
}

// The address names what was just done. Loading the page again does not say it once more.
const address = new URL(location.href);
if (address.searchParams.has("done")) {
  address.searchParams.delete("done");
  history.replaceState(null, "", address);
}

// A box that ticks all boxes of its table.
for (const all of document.querySelectorAll("[data-tick-all]")) {
  all.hidden = false;
  all.addEventListener("change", () => {
    const boxes = all.closest("table").querySelectorAll("tbody input[type=checkbox]");
    for (const box of boxes) box.checked = all.checked;
  });
}

// Suggestions for a field that has a list: some that hold what is typed in so far.
for (const field of document.querySelectorAll("[data-suggestions]")) {
  let waiting;
  field.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      const asked = field.value;
      const answer = await fetch(`${field.dataset.suggestions}?q=${encodeURIComponent(asked)}`);
      if (!answer.ok || answer.redirected || field.value !== asked) return;
      const { users } = await answer.json();
      field.list.replaceChildren(...users.map((user) => new Option(user, user)));
    }, 200);
  });
}

// The overview shows how things are, so it is read again while somebody looks at it. What they
// have focused or selected stays until they are done with it.
const REFRESH_MS = 15_000;
const main = document.querySelector("main");

function isInUse() {
  const focused = document.activeElement;
  const selection = getSelection();
  return (focused !== main && main.contains(focused))
    || (!selection.isCollapsed && main.contains(selection.anchorNode));
}

function tell(text) {
  const live = document.getElementById("live");
  live.textContent = text;
  live.hidden = false;
}

if (document.getElementById("live")) {
  let refreshed = new Date();
  const timer = setInterval(async () => {
    if (document.hidden || isInUse()) return;
    try {
      const headers = { "x-refresh": "1" };
      const answer = await fetch(location.href, { redirect: "manual", headers });
      if (answer.type === "opaqueredirect") {
        clearInterval(timer);
        tell("You are signed out. Load the page again to sign in.");
        return;
      }
      if (!answer.ok) throw new Error(answer.statusText);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (isInUse()) return;
      main.replaceChildren(...page.querySelector("main").childNodes);
      refreshed = new Date();
    } catch {
      tell(`Not refreshed since ${refreshed.toLocaleTimeString()}. Trying again.`);
    }
  }, REFRESH_MS);
}
