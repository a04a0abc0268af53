"use strict";
// Replays: without this script a readable list; with it one step at a time, by buttons and arrow keys.
for (const replay of document.querySelectorAll(".replay")) {
  const steps = [...replay.querySelectorAll(".step")];
  const links = [...replay.querySelectorAll(".strip a")];
  const [first, back, next, error] = replay.querySelectorAll("button");
  const said = replay.querySelector(".said");
  const slip = steps.findIndex((step) => step.hasAttribute("data-first-error"));
  let at = 0;

  const show = (to, focus) => {
    at = Math.max(0, Math.min(steps.length - 1, to));
    steps.forEach((step, i) => { step.hidden = i !== at; });
    links.forEach((link, i) => {
      link.tabIndex = i === at ? 0 : -1;
      if (i === at) link.setAttribute("aria-current", "step"); else link.removeAttribute("aria-current");
    });
    first.disabled = back.disabled = at === 0;
    next.disabled = at === steps.length - 1;
    said.textContent = links[at].getAttribute("aria-label") + " · " + steps.length + " steps in all";
    if (focus) links[at].focus({ preventScroll: true });
  };

  links.forEach((link, i) => link.addEventListener("click", (event) => { event.preventDefault(); show(i, true); }));
  first.addEventListener("click", () => show(0));
  back.addEventListener("click", () => show(at - 1));
  next.addEventListener("click", () => show(at + 1));
  error.addEventListener("click", () => show(slip));
  error.disabled = slip < 0;
  replay.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: steps.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    show(to, event.target.closest(".strip") !== null);
  });
  replay.querySelector(".buttons").hidden = false;
  replay.querySelector(".steps").removeAttribute("tabindex");
  replay.classList.add("live");
  if (steps.length) show(0);
}
addEventListener("beforeprint", () => { for (const part of document.querySelectorAll("details.arm")) part.open = true; });
