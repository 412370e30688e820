// The draft: what stands in the composer is kept on the server 0.8 s after the last key, and when the page is left.
(() => {
  const field = () => document.querySelector('[data-composer] textarea');
  const limit = 60000;     // bytes a browser sends while the page goes away
  const handed = 10000;    // ms after which a text left behind is no longer taken for the newest
  let timer = 0;

  const later = ms => {
    clearTimeout(timer);
    timer = setTimeout(save, ms);
  };

  const save = () => {
    if (!timer || !field()) return;
    clearTimeout(timer);
    timer = 0;
    const { content, client_id } = field().form.elements;                  // sent meanwhile, it is no draft any more
    const body = new URLSearchParams({ content: content.value, client_id: client_id.value }).toString();
    const type = 'application/x-www-form-urlencoded';
    fetch(field().form.dataset.draft, { method: 'POST', body, keepalive: body.length < limit, headers: { 'HX-Request': 'true', 'Content-Type': type } })
      .catch(() => { if (!timer) later(5000); });                          // offline: the text is still in the box
  };

  document.addEventListener('input', event => {
    if (event.target === field()) later(800);
  });
  document.addEventListener('composer:sent', () => {                       // the server forgot the draft with the send
    clearTimeout(timer);
    timer = 0;
  });

  // A reload asks for the new page before it hides this one, so the server cannot put the last words into it.
  const place = () => `draft ${location.pathname}`;

  const hand = () => {
    try { if (timer && field()) sessionStorage.setItem(place(), JSON.stringify([Date.now(), field().value])); } catch { return; }
  };

  const take = () => {
    try {
      const [at, text] = JSON.parse(sessionStorage.getItem(place())) ?? [0];
      sessionStorage.removeItem(place());
      if (!field() || Date.now() - at > handed || text === field().value) return;
      field().value = text;
      field().dispatchEvent(new Event('input', { bubbles: true }));
    } catch { return; }                                                    // storage may be switched off
  };

  addEventListener('pagehide', () => { hand(); save(); });
  document.addEventListener('DOMContentLoaded', take);
})();
