for (const map of document.querySelectorAll("svg.map")) {
  const points = [...map.querySelectorAll("[data-t]")];
  const places = points.map((point) => [+point.getAttribute("x"), +point.getAttribute("y")]);
  const ring = map.querySelector(".ring"), tip = map.parentNode.querySelector(".tip");
  const hide = () => { ring.style.display = tip.style.display = "none"; };
  const show = (event) => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(map.getScreenCTM().inverse());
    let nearest = -1, least = 40 ** 2;
    places.forEach(([x, y], number) => {
      const distance = (x - at.x) ** 2 + (y - at.y) ** 2;
      if (distance < least) [nearest, least] = [number, distance];
    });
    if (nearest < 0) return hide();
    const [x, y] = places[nearest], frame = map.parentNode.getBoundingClientRect();
    ring.setAttribute("cx", x);
    ring.setAttribute("cy", y);
    tip.textContent = points[nearest].dataset.t;
    ring.style.display = tip.style.display = "block";
    const left = event.clientX - frame.left - tip.offsetWidth / 2;
    tip.style.left = `${Math.max(0, Math.min(left, frame.width - tip.offsetWidth))}px`;
    tip.style.top = `${event.clientY - frame.top + 18}px`;
  };
  map.addEventListener("pointermove", show);
  map.addEventListener("pointerdown", show);
  map.addEventListener("pointerleave", hide);
}
