"use strict";
const search = document.getElementById("search");
const list = document.getElementById("list");
const none = document.getElementById("none");
const count = document.getElementById("count");
const articles = [...document.querySelectorAll("article")];
const cards = [...document.querySelectorAll(".card")];
const texts = articles.map((article) => article.textContent.toLowerCase());

function target() {
  try {
    return document.getElementById(decodeURIComponent(location.hash.slice(1)));
  } catch {
    return null; // the address was edited by hand and cannot be decoded
  }
}

function show() {
  const page = target();
  const chosen = page?.matches("article") ? page : null;
  list.hidden = chosen !== null;
  for (const article of articles) article.hidden = article !== chosen;
  document.title = chosen ? `${chosen.querySelector("h2").textContent} · Events` : "Events";
  scrollTo(0, 0);
}

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  cards.forEach((card, index) => {
    card.hidden = !words.every((word) => texts[index].includes(word));
    if (!card.hidden) found += 1;
  });
  none.hidden = found > 0 || cards.length === 0;
  count.textContent = words.length ? `${found} of ${cards.length} events` : `${cards.length} events`;
  if (words.length && target()) location.hash = "";
}

search.addEventListener("input", filter);
addEventListener("hashchange", show);
filter();
show();
