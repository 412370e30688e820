// Clocks: every second the text of [data-clock], the bar of [data-rail], and local times, by the server's clock.
(() => {
  let skew = null;         // server time minus ours; the largest seen is the least delayed

  const learn = element => {
    const seen = +element.dataset.now - Date.now();
    if (element.dataset.now && (skew === null || seen > skew)) skew = seen;
  };

  const words = (ms, coarse) => {
    const s = Math.max(0, Math.round(ms / 1000)), m = Math.floor(s / 60), h = Math.floor(m / 60);
    if (h) return `${h} h ${m % 60} min`;
    if (m && coarse) return `${m} min`;
    return m ? `${m} min ${s % 60} s` : `${s} s`;
  };

  const ago = ms => {
    const min = Math.floor(Math.max(0, ms) / 60000), h = Math.floor(min / 60);
    return h >= 24 ? `${Math.floor(h / 24)} d ago` : h ? `${h} h ago` : min ? `${min} min ago` : 'just now';
  };

  const put = (element, text) => {
    if (element.textContent !== text) element.textContent = text;
  };

  const localTime = element => {
    const at = new Date(element.dateTime), today = at.toDateString() === new Date().toDateString();
    const day = today ? {} : { day: 'numeric', month: 'short' };
    put(element, at.toLocaleString([], { ...day, hour: '2-digit', minute: '2-digit' }));
    element.dataset.local = '';
  };

  const tick = () => {
    if (document.hidden) return;
    const clocks = document.querySelectorAll('[data-clock]');
    clocks.forEach(learn);
    const now = Date.now() + (skew ?? 0);
    for (const clock of clocks) {
      const { since, until, ago: at, fine } = clock.dataset;
      put(clock, since ? words(now - since) : at ? ago(now - at) : 'in ' + words(Date.parse(until) - now, fine === undefined));
    }
    for (const rail of document.querySelectorAll('[data-rail]')) {
      rail.value = Math.min(rail.max * 0.97, (now - rail.dataset.rail) / 1000);
    }
    document.querySelectorAll('time:not([data-local])').forEach(localTime);
  };

  setInterval(tick, 1000);
  document.addEventListener('DOMContentLoaded', tick);
  document.addEventListener('visibilitychange', tick);
  document.addEventListener('htmx:after:swap', tick);
})();
