"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const root = document.documentElement;
  const drawn = new Map();
  const DAY = 86400000;

  const colour = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();
  const narrow = () => window.innerWidth < 600;
  const count = (n) => Number(n).toLocaleString("en");
  const short = (n) => {
    for (const [size, unit] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
      if (Math.abs(n) >= size) return `${Number((n / size).toPrecision(3))} ${unit}`;
    }
    return `${n}`;
  };
  const span = (s) => {
    for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
      if (Math.abs(s) >= size) return `${Number((s / size).toPrecision(2))} ${unit}`;
    }
    return `${Number(s.toPrecision(2))} s`;
  };
  const stamp = (ms) => new Date(ms).toISOString().slice(0, 16).replace("T", " ");
  const dayOf = (iso) =>
    new Date(`${iso}T00:00Z`).toLocaleDateString("en", { day: "numeric", month: "short", timeZone: "UTC" });

  // Texts, never markup: what a source wrote stays text in a tooltip, too.
  function told(title, lines) {
    const box = document.createElement("div");
    const head = box.appendChild(document.createElement("b"));
    head.textContent = title;
    for (const [tint, text] of lines) {
      const line = box.appendChild(document.createElement("div"));
      const dot = line.appendChild(document.createElement("span"));
      dot.className = "dot";
      dot.style.background = tint;
      line.append(text);
    }
    return box;
  }

  const text = () => ({ color: colour("muted"), fontSize: 11, fontFamily: "inherit" });
  const base = (formatter) => ({
    animation: false,
    useUTC: true,
    grid: { left: 6, right: 12, top: 14, bottom: 5, containLabel: true },
    tooltip: {
      trigger: "axis",
      confine: true,
      formatter,
      backgroundColor: colour("card"),
      borderColor: colour("line"),
      textStyle: { color: colour("text"), fontSize: 12 },
      axisPointer: { type: "line", label: { show: false }, lineStyle: { color: colour("line") }, shadowStyle: { color: colour("hover") } },
    },
  });
  const value = (formatter, extra) => ({
    type: "value",
    min: 0,
    splitNumber: 3,
    axisLine: { show: false },
    axisTick: { show: false },
    axisLabel: { ...text(), formatter },
    splitLine: { lineStyle: { color: colour("line") } },
    ...extra,
  });
  const category = () => ({
    type: "category",
    data: figures.days,
    axisTick: { show: false },
    axisLine: { lineStyle: { color: colour("line") } },
    axisLabel: { ...text(), formatter: dayOf, hideOverlap: true },
  });
  // Whole days, so that the labels are dates and not hours.
  const time = () => ({
    type: "value",
    min: figures.since,
    max: figures.since + figures.days.length * DAY,
    interval: DAY * Math.ceil(figures.days.length / (narrow() ? 4 : 5)),
    axisTick: { show: false },
    axisLine: { show: true, lineStyle: { color: colour("line") } },
    axisLabel: { ...text(), hideOverlap: true, showMaxLabel: false, formatter: (ms) => dayOf(new Date(ms).toISOString().slice(0, 10)) },
    splitLine: { show: false },
  });
  // Spans are read in seconds, minutes, hours and days, not in powers of ten.
  const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200];
  function spans(points) {
    const most = Math.max(0.1, ...points.map((point) => point[1]));
    const interval = STEPS.find((step) => step * 4 >= most) || DAY / 1000 * Math.ceil(most / (4 * DAY / 1000));
    return value(span, { interval, max: interval * Math.ceil(most / interval) });
  }
  const round = { borderRadius: [3, 3, 0, 0] };

  function allRows() {
    const options = base((points) =>
      told(dayOf(points[0].axisValue), [
        ...points.filter((p) => p.value).reverse().map((p) => [p.color, `${p.seriesName}: ${count(p.value)}`]),
        ["transparent", `${count(points.reduce((sum, p) => sum + p.value, 0))} rows`],
      ]),
    );
    options.tooltip.axisPointer.type = "shadow";
    return {
      ...options,
      color: [1, 2, 3, 4, 5].map((n) => colour(`series${n}`)),
      xAxis: category(),
      yAxis: value(short, { minInterval: 1 }),
      series: figures.all.map((one) => ({
        type: "bar",
        name: one.name,
        stack: "rows",
        barMaxWidth: 44,
        data: one.rows,
      })),
    };
  }

  function rows(stream) {
    const options = base((points) => {
      const at = points[0].dataIndex;
      const failed = stream.failed[at];
      return told(dayOf(points[0].axisValue), [
        [colour("series1"), `${count(stream.rows[at])} rows`],
        ...(failed ? [[colour("bad"), `${failed} failed run${failed === 1 ? "" : "s"}`]] : []),
      ]);
    });
    options.tooltip.axisPointer.type = "shadow";
    return {
      ...options,
      xAxis: category(),
      yAxis: value(short, { minInterval: 1 }),
      series: [
        { type: "bar", barMaxWidth: 28, data: stream.rows, itemStyle: { ...round, color: colour("series1") } },
        {
          type: "line",
          data: stream.failed.map((n) => (n ? 0 : null)),
          symbol: "diamond",
          symbolSize: 9,
          lineStyle: { width: 0 },
          itemStyle: { color: colour("bad") },
          z: 5,
        },
      ],
    };
  }

  const line = (data, tint) => ({
    type: "line",
    data,
    symbol: "circle",
    symbolSize: data.length > 60 ? 3 : 5,
    showSymbol: true,
    lineStyle: { width: 1.6, color: tint },
    itemStyle: { color: tint },
    areaStyle: { color: tint, opacity: 0.1 },
  });

  function seconds(stream) {
    const of = (kind) => stream.seconds.filter((run) => (run[2] === "failed") === kind).map((run) => run.slice(0, 2));
    const failed = of(true);
    return {
      ...base((points) =>
        told(`${stamp(points[0].value[0])} UTC`, points.map((p) => [p.color, `${p.seriesName} ${span(p.value[1])}`])),
      ),
      xAxis: time(),
      yAxis: spans(stream.seconds),
      series: [
        { ...line(of(false), colour("series2")), name: "took" },
        { ...line(failed, colour("bad")), name: "failed after", lineStyle: { width: 0 }, areaStyle: undefined, symbol: "diamond", symbolSize: 9 },
      ],
    };
  }

  function lag(stream) {
    return {
      ...base((points) =>
        told(`${stamp(points[0].value[0])} UTC`, points.map((p) => [p.color, `${span(p.value[1])} behind`])),
      ),
      xAxis: time(),
      yAxis: spans(stream.lag),
      series: [line(stream.lag, colour("series3"))],
    };
  }

  const kinds = { all: allRows, rows, seconds, lag };
  function draw(element) {
    const chart = drawn.get(element) || echarts.init(element, null, { renderer: "svg" });
    drawn.set(element, chart);
    chart.setOption(kinds[element.dataset.chart](figures.streams[element.dataset.stream]), true);
    element.dataset.drawn = "";
  }
  const resized = new ResizeObserver((entries) => {
    for (const entry of entries) if (entry.contentRect.width) drawn.get(entry.target)?.resize();
  });
  const seen = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        seen.unobserve(entry.target);
        draw(entry.target);
        resized.observe(entry.target);
      }
    },
    { rootMargin: "300px" },
  );
  for (const element of document.querySelectorAll("[data-chart]")) seen.observe(element);

  const redraw = () => [...drawn.keys()].forEach(draw);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const kept = {
    get: () => { try { return localStorage.getItem("landing-theme"); } catch { return null; } },
    set: (theme) => { try { localStorage.setItem("landing-theme", theme); } catch { /* a private window */ } },
  };
  if (["light", "dark"].includes(kept.get())) root.dataset.theme = kept.get();
  dark.addEventListener("change", redraw);
  const button = document.getElementById("theme");
  button.hidden = false;
  button.addEventListener("click", () => {
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : dark.matches;
    root.dataset.theme = isDark ? "light" : "dark";
    kept.set(root.dataset.theme);
    redraw();
  });

  const old = (Date.now() - figures.generated) / 1000;
  const age = document.getElementById("age");
  if (old >= 60) age.textContent = `, ${span(old)} ago`;
  if (old >= 86400) age.className = "warn-text";

  function open() {
    const found = location.hash && document.getElementById(location.hash.slice(1));
    if (found && found.tagName === "DETAILS") {
      found.open = true;
      found.scrollIntoView();
    }
  }
  window.addEventListener("hashchange", open);
  for (const link of document.querySelectorAll('a[href^="#s"]')) link.addEventListener("click", () => setTimeout(open));
  open();
  window.addEventListener("beforeprint", () => {
    for (const one of document.querySelectorAll("details")) one.open = true;
    document.querySelectorAll("[data-chart]").forEach(draw);
  });

  const filter = document.getElementById("filter");
  if (filter) {
    filter.parentElement.hidden = false;
    filter.addEventListener("input", () => {
      const wanted = filter.value.trim().toLowerCase();
      let left = 0;
      for (const one of document.querySelectorAll("[data-name]")) {
        one.hidden = !one.dataset.name.toLowerCase().includes(wanted);
        left += !one.hidden;
      }
      document.getElementById("none").hidden = left > 0;
    });
  }
})();
