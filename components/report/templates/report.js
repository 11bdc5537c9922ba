"use strict";
(() => {
  const links = [...document.querySelectorAll("nav a")];
  const parts = links.map((link) => document.getElementById(link.hash.slice(1)));
  let current = -1;
  const follow = () => {
    const line = innerHeight * 0.3;
    const end = innerHeight + scrollY >= document.documentElement.scrollHeight - 2 && scrollY > 0;
    const at = end ? parts.length - 1 : Math.max(0, parts.findLastIndex((part) => part.getBoundingClientRect().top <= line));
    if (at === current) return;
    links[current]?.removeAttribute("aria-current");
    links[at].setAttribute("aria-current", "true");
    links[at].parentElement.scrollTo({ left: links[at].offsetLeft - 60 });
    current = at;
  };
  addEventListener("scroll", follow, { passive: true });
  addEventListener("resize", follow);
  follow();
  const opened = new Set();
  addEventListener("beforeprint", () => {
    for (const one of document.querySelectorAll("details:not([open])")) { opened.add(one); one.open = true; }
  });
  addEventListener("afterprint", () => { for (const one of opened) one.open = false; opened.clear(); });
})();
