// The draft: what stands in the composer is kept on the server 0.8 s after the last key, and when the page is left.
(() => {
  const field = () => document.querySelector('[data-composer] textarea');
  const limit = 60000;     // bytes a browser sends while the page goes away
  let timer = 0;

  const later = ms => {
    clearTimeout(timer);
    timer = setTimeout(save, ms);
  };

  const save = () => {
    if (!timer || !field()) return;
    clearTimeout(timer);
    timer = 0;
    const body = new URLSearchParams({ content: field().value }).toString();
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
  addEventListener('pagehide', save);
})();
