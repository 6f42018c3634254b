// The time until something, counted down: 5 h 12 min, in the end 40 s. Without it, a fixed text.
(() => {
  const left = (at) => {
    const seconds = Math.max(0, Math.round((at - Date.now()) / 1000));
    const days = Math.floor(seconds / 86400), hours = Math.floor(seconds / 3600) % 24;
    const minutes = Math.floor(seconds / 60) % 60;
    if (days) return `${days} d ${hours} h`;
    if (seconds >= 3600) return `${hours} h ${minutes} min`;
    return minutes ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
  };
  const tick = () => {
    for (const time of document.querySelectorAll("time[data-countdown]")) {
      time.textContent = left(Date.parse(time.getAttribute("datetime")));
    }
  };
  tick();
  setInterval(tick, 1000);
})();
