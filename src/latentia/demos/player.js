"use strict";
(() => {
  const film = JSON.parse(document.getElementById("film").textContent);
  const by = (id) => document.getElementById(id);
  const stage = by("stage"), charts = by("charts"), slider = by("slider"), play = by("play");
  const last = film.frames.length - 1;
  let at = 0, playing = false, before = 0, owed = 0;

  // numbers packed by the page's writer: 16 bits, little-endian, in base64
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const words = (text) => {
    const raw = bytes(text), out = new Float32Array(raw.length / 2);
    for (let i = 0; i < out.length; i++) out[i] = (raw[2 * i] + 256 * raw[2 * i + 1]) / 65535;
    return out;
  };
  // fields have 8 bits, finest about ½
  const field8 = (text) => Float32Array.from(bytes(text), (v) => {
    const apart = v / 127 - 1;
    return 0.5 + 0.5 * Math.sign(apart) * apart * apart;
  });
  const frames = film.frames.map((f) => {
    const read = film.dims === 1 ? words : field8;
    return {
      answer: read(f.answer), best: read(f.best), fakes: words(f.fakes), pull: words(f.pull),
      density: film.dims === 1 ? words(f.density) : null,
    };
  });
  const real = words(film.real), data = film.density && words(film.density);
  const noise = film.noise && words(film.noise);

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const inks = () => ({
    paper: colour("--paper"), ink: colour("--ink"), soft: colour("--soft"), line: colour("--line"),
    answer: colour("--c1"), fake: colour("--c2"), real: colour("--c3"), third: colour("--c4"),
  });

  function sized(canvas, ratio, least) {
    const width = canvas.clientWidth || 700, height = Math.round(Math.max(least, width * ratio));
    const sharp = window.devicePixelRatio || 1;
    canvas.style.height = height + "px";
    canvas.width = Math.round(width * sharp);
    canvas.height = Math.round(height * sharp);
    const pen = canvas.getContext("2d");
    pen.setTransform(sharp, 0, 0, sharp, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.font = "13px system-ui, sans-serif";
    pen.lineJoin = "round";
    return { pen, width, height };
  }

  function stroke(pen, points, style, width, dash) {
    pen.beginPath();
    points.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    pen.strokeStyle = style;
    pen.lineWidth = width;
    pen.setLineDash(dash || []);
    pen.stroke();
    pen.setLineDash([]);
  }

  function write(pen, text, x, y, style, align) {
    pen.fillStyle = style;
    pen.textAlign = align || "left";
    pen.fillText(text, x, y);
  }

  function arrow(pen, x, y, dx, dy, style) {
    const size = Math.hypot(dx, dy);
    if (size < 1.5) return;
    const head = Math.min(5, size), ux = dx / size, uy = dy / size;
    stroke(pen, [[x, y], [x + dx, y + dy]], style, 1.2);
    const bx = x + dx - head * ux, by = y + dy - head * uy;
    stroke(pen, [[bx - 0.6 * head * uy, by + 0.6 * head * ux], [x + dx, y + dy],
                 [bx + 0.6 * head * uy, by - 0.6 * head * ux]], style, 1.2);
  }

  // fakes may lie beyond what is drawn by as much again on either side
  const place = (share) => 3 * share - 1;
  const reach = (share) => (2 * share - 1) * film.longest;

  function legend(pen, items, x, y, right) {
    for (const [text, style, dash] of items) {
      const wide = pen.measureText(text).width + 44;
      if (x + wide > right && x > 60) { x = 44; y += 18; }
      stroke(pen, [[x, y - 4], [x + 22, y - 4]], style, 2.5, dash);
      write(pen, text, x + 28, y, style);
      x += wide;
    }
    return y;
  }

  function line(f) {
    const { pen, width, height } = sized(stage, 0.72, 400), c = inks();
    const left = 40, right = width - 8, to = (u) => left + u * (right - left);
    const mapped = noise !== null, foot = height - 22;
    const noiseTop = mapped ? foot - 62 : foot, middle = 44 + (noiseTop - 44) * 0.5;
    const top = 44, base = noiseTop - 46;
    const curve = (v, y) => Array.from(v, (p, i) => [to(i / (v.length - 1)), y(p)]);
    const d = (p) => middle - 14 - p * (middle - 14 - top);
    pen.save();
    pen.beginPath(); pen.rect(left, 0, right - left, height); pen.clip();
    stroke(pen, [[left, d(0.5)], [right, d(0.5)]], c.soft, 1, [2, 4]);
    stroke(pen, curve(f.best, d), c.ink, 1.5, [7, 5]);
    stroke(pen, curve(f.answer, d), c.answer, 3);
    const rise = (p) => base - p * (base - middle);
    const heap = curve(data, rise);
    pen.beginPath();
    pen.moveTo(left, base);
    heap.forEach(([x, y]) => pen.lineTo(x, y));
    pen.lineTo(right, base);
    pen.globalAlpha = 0.25; pen.fillStyle = c.real; pen.fill(); pen.globalAlpha = 1;
    stroke(pen, heap, c.real, 1.4);
    stroke(pen, curve(f.density, rise), c.fake, 2.4);
    for (const u of real) stroke(pen, [[to(u), base + 8], [to(u), base + 18]], c.real, 1);
    f.fakes.forEach((u, i) => {
      const x = to(place(u)), y = base + 28;
      if (mapped) stroke(pen, [[to(noise[i]), foot - 4], [x, noiseTop]], c.line, 1);
      pen.beginPath(); pen.arc(x, y, 3, 0, 7); pen.fillStyle = c.fake; pen.fill();
      arrow(pen, x, y, reach(f.pull[i]) * (right - left), 0, c.ink);
    });
    pen.restore();
    for (const [text, p] of [["1", 1], ["½", 0.5], ["0", 0]]) write(pen, text, left - 8, d(p) + 4, c.soft, "right");
    stroke(pen, [[left, foot - 3], [right, foot - 3]], c.line, 1);
    for (const [u, text] of film.ticks[0]) write(pen, text, to(u), height - 5, c.soft, "center");
    if (mapped) write(pen, "noise", left + 4, foot - 8, c.soft);
    legend(pen, [[film.answer, c.answer], ["D*: best possible", c.ink, [5, 4]],
                 ["real", c.real], ["fake", c.fake]], left + 4, 16, right);
  }

  function field(pen, values, box, c) {
    const n = film.side, image = new ImageData(n, n), parse = document.createElement("canvas");
    parse.width = parse.height = n;
    const tool = parse.getContext("2d", { willReadFrequently: true });
    const rgb = (name) => { tool.fillStyle = name; tool.fillRect(0, 0, 1, 1); return tool.getImageData(0, 0, 1, 1).data; };
    const paper = rgb(c.paper), sides = [rgb(c.fake), rgb(c.real)];
    for (let row = 0; row < n; row++) for (let col = 0; col < n; col++) {
      const p = values[(n - 1 - row) * n + col], k = 4 * (row * n + col);
      const side = sides[p > 0.5 ? 1 : 0], much = 0.6 * Math.min(1, Math.abs(2 * p - 1));
      for (let j = 0; j < 3; j++) image.data[k + j] = paper[j] + much * (side[j] - paper[j]);
      image.data[k + 3] = 255;
    }
    tool.putImageData(image, 0, 0);
    pen.imageSmoothingEnabled = true;
    pen.drawImage(parse, box.x, box.y, box.w, box.h);
  }

  function contour(pen, values, box, style) {
    const n = film.side, step = 1 / (n - 1);
    const value = (i, j) => values[j * n + i] - 0.5;
    const spot = (i, j) => [box.x + i * step * box.w, box.y + box.h - j * step * box.h];
    pen.beginPath();
    for (let j = 0; j < n - 1; j++) for (let i = 0; i < n - 1; i++) {
      const corners = [[i, j], [i + 1, j], [i + 1, j + 1], [i, j + 1]], cuts = [];
      corners.forEach(([a, b], k) => {
        const [e, g] = corners[(k + 1) % 4], v = value(a, b), w = value(e, g);
        if (v < 0 !== w < 0) { const t = v / (v - w); cuts.push(spot(a + t * (e - a), b + t * (g - b))); }
      });
      for (let k = 0; k + 1 < cuts.length; k += 2) { pen.moveTo(...cuts[k]); pen.lineTo(...cuts[k + 1]); }
    }
    pen.strokeStyle = style; pen.lineWidth = 1; pen.stroke();
  }

  function plane(f) {
    const narrow = stage.clientWidth < 560;
    const side = (narrow ? stage.clientWidth - 40 : (stage.clientWidth - 70) / 2), tall = side;
    const { pen } = sized(stage, 0, narrow ? 2 * tall + 100 : tall + 64), c = inks();
    const first = { x: 32, y: 40, w: side, h: tall };
    const second = narrow ? { x: 32, y: 80 + tall, w: side, h: tall } : { x: 62 + side, y: 40, w: side, h: tall };
    for (const [box, values] of [[first, f.answer], [second, f.best]]) {
      field(pen, values, box, c);
      if (box === first) contour(pen, values, box, c.ink);
      for (const [u, text] of film.ticks[0]) write(pen, text, box.x + u * box.w, box.y + box.h + 16, c.soft, "center");
      for (const [u, text] of film.ticks[1]) write(pen, text, box.x - 5, box.y + (1 - u) * box.h + 4, c.soft, "right");
    }
    pen.save();
    pen.beginPath(); pen.rect(first.x, first.y, first.w, first.h); pen.clip();
    const dot = (u, v, r, style) => {
      const x = first.x + u * first.w, y = first.y + (1 - v) * first.h;
      pen.beginPath(); pen.arc(x, y, r, 0, 7); pen.fillStyle = style; pen.fill();
      return [x, y];
    };
    for (let i = 0; i < real.length; i += 2) dot(real[i], real[i + 1], 2, c.real);
    for (let i = 0; i < f.fakes.length; i += 2) {
      const [x, y] = dot(place(f.fakes[i]), place(f.fakes[i + 1]), 2, c.fake);
      if (i < f.pull.length) arrow(pen, x, y, reach(f.pull[i]) * first.w, -reach(f.pull[i + 1]) * first.h, c.ink);
    }
    pen.restore();
    legend(pen, [[film.answer, c.ink], ["real", c.real], ["fake", c.fake]], first.x, narrow ? 12 : 26, first.x + first.w + 40);
    write(pen, "D*: best possible", second.x, second.y - 14, c.ink);
  }

  function chart(pen, box, title, lines, low, high, c) {
    const steps = film.figures.map((f) => f.step), end = steps[last] || 1;
    const x = (s) => box.x + (s / end) * box.w;
    const y = (v) => box.y + box.h - ((Math.min(high, Math.max(low, v)) - low) / (high - low)) * box.h;
    write(pen, title, box.x, box.y - 8, c.ink);
    for (const v of [low, high]) {
      stroke(pen, [[box.x, y(v)], [box.x + box.w, y(v)]], c.line, 1);
      write(pen, String(v), box.x - 5, y(v) + 4, c.soft, "right");
    }
    for (const [key, style, dash] of lines) {
      const known = film.figures.filter((f) => f[key] !== null);
      stroke(pen, known.map((f) => [x(f.step), y(f[key])]), style, 1.8, dash);
    }
    stroke(pen, [[x(steps[at]), box.y], [x(steps[at]), box.y + box.h]], c.soft, 1, [3, 3]);
  }

  function figures() {
    const narrow = charts.clientWidth < 560;
    const { pen, width } = sized(charts, 0, narrow ? 450 : 190), c = inks();
    const wide = narrow ? width - 42 : (width - 126) / 3;
    const box = (k) => (narrow ? { x: 34, y: 36 + 150 * k, w: wide, h: 84 } : { x: 34 + k * (wide + 44), y: 36, w: wide, h: 110 });
    const under = (k, items) => {
      let x = box(k).x;
      for (const [text, style] of items) { write(pen, text, x, box(k).y + box(k).h + 18, style); x += pen.measureText(text).width + 10; }
    };
    chart(pen, box(0), "|D − ½| on real points", [["apart_max", c.line], ["apart_most", c.soft], ["apart_mean", c.answer]], 0, 0.5, c);
    under(0, [["mean", c.answer], ["95 %", c.soft], ["largest", c.soft]]);
    chart(pen, box(1), "D is right", [["right", c.answer]], 0.4, 1, c);
    under(1, [["share of real and fake", c.answer]]);
    const finite = film.figures.flatMap((f) => [f.critic_loss, f.generator_loss]).filter((v) => v !== null);
    const low = Math.floor(Math.min(0, ...finite)), high = Math.ceil(Math.max(1, ...finite));
    chart(pen, box(2), "Losses", [["critic_loss", c.answer], ["generator_loss", c.fake]], low, high, c);
    under(2, [["D", c.answer], ["generator", c.fake]]);
  }

  function show(k) {
    at = Math.max(0, Math.min(last, k));
    slider.value = at;
    const f = film.figures[at];
    by("said").textContent = film.captions[at];
    const modes = f.of_modes ? ` · heaps found: ${f.modes} of ${f.of_modes}` : "";
    by("now").textContent = `Step ${f.step.toLocaleString("en")} · D is right about ${Math.round(100 * f.right)} %` +
      ` · mean |D − ½| on real points ${f.apart_mean.toFixed(3)} · best possible ${f.best_mean.toFixed(3)}${modes}`;
    slider.setAttribute("aria-valuetext", `step ${f.step}`);
    (film.dims === 1 ? line : plane)(frames[at]);
    figures();
  }

  function go(on) {
    if (on && at === last) show(0);
    playing = on;
    play.textContent = on ? "❚❚" : "▶";
    play.setAttribute("aria-label", on ? "Pause" : "Play");
    before = 0;
    if (on) requestAnimationFrame(tick);
  }

  function tick(clock) {
    if (!playing) return;
    owed += before ? ((clock - before) / film.frame_ms) * Number(by("speed").value) : 0;
    before = clock;
    if (owed >= 1) { show(at + Math.floor(owed)); owed %= 1; }
    if (at === last) go(false); else requestAnimationFrame(tick);
  }

  play.addEventListener("click", () => go(!playing));
  slider.max = last;
  slider.addEventListener("input", () => { go(false); show(Number(slider.value)); });
  document.addEventListener("keydown", (event) => {
    const on = event.target.tagName;
    if (event.ctrlKey || event.metaKey || event.altKey || on === "SELECT") return;
    const moves = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last };
    if (event.key === " " && on !== "BUTTON") go(!playing);
    else if (event.key in moves && on !== "INPUT") { go(false); show(moves[event.key]); }
    else return;
    event.preventDefault();
  });
  window.addEventListener("resize", () => show(at));
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => show(at));
  const asked = /^#frame-(\d+)$/.exec(location.hash);
  show(asked ? Number(asked[1]) : 0);
})();
