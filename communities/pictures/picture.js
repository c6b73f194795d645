const svg = document.querySelector("svg"), view = document.getElementById("view");
const all = (what) => [...document.querySelectorAll(what)];
const marks = new Map();
for (const e of all("[data-node]")) {
  const node = e.dataset.node;
  if (!marks.has(node)) marks.set(node, []);
  marks.get(node).push(e);
}
const lines = all("line");
function look(node) {
  for (const e of all(".on")) e.classList.remove("on");
  svg.classList.toggle("looking", node !== null);
  if (node === null) return;
  const near = new Set([node]);
  for (const line of lines) {
    const { a, b } = line.dataset;
    if (a === node || b === node) {
      line.classList.add("on");
      near.add(a).add(b);
    }
  }
  for (const other of near) for (const e of marks.get(other)) if (e.tagName !== "TR" || other === node) e.classList.add("on");
}
for (const [node, list] of marks) {
  for (const e of list) {
    e.addEventListener("pointerenter", () => look(node));
    e.addEventListener("pointerleave", () => look(null));
    if (e.tagName !== "TR") {
      e.addEventListener("click", () => list.find((x) => x.tagName === "TR")?.scrollIntoView({ block: "center", behavior: "smooth" }));
    }
  }
}
let scale = 1, x = 0, y = 0, held = null;
const point = (e) => new DOMPoint(e.clientX, e.clientY).matrixTransform(svg.getScreenCTM().inverse());
const apply = () => view.setAttribute("transform", `translate(${x} ${y}) scale(${scale})`);
svg.addEventListener("wheel", (e) => {
  e.preventDefault();
  const at = point(e), next = Math.min(12, Math.max(0.6, scale * Math.exp(-e.deltaY * 0.0015)));
  x = at.x - (at.x - x) * next / scale;
  y = at.y - (at.y - y) * next / scale;
  scale = next;
  apply();
}, { passive: false });
svg.addEventListener("pointerdown", (e) => { const at = point(e); held = [at.x - x, at.y - y]; });
addEventListener("pointermove", (e) => { if (held) { const at = point(e); x = at.x - held[0]; y = at.y - held[1]; apply(); } });
addEventListener("pointerup", () => { held = null; });
