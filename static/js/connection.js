// The connection as a person sees it: a banner when it stays away, a word when the chat is gone, hx-ws's loose ends.
(() => {
  const GONE = 4404, PATIENCE_MS = 2500;
  const live = () => document.getElementById('live');
  let timer = 0;

  const away = () => {
    timer ||= setTimeout(() => { document.getElementById('offline').hidden = false; }, PATIENCE_MS);
  };

  document.addEventListener('htmx:ws:after:connection', () => {
    clearTimeout(timer);
    timer = 0;
    document.getElementById('offline').hidden = true;
  });

  document.addEventListener('htmx:ws:close', ({ target, detail: { code, reason } }) => {
    if (reason === 'removed' || document.hidden) return;
    if (code !== GONE) return away();
    const detail = { error: 'This chat was deleted.', code: 'NOT_FOUND' };
    target.dispatchEvent(new CustomEvent('chat:error', { detail, bubbles: true }));
  });

  document.addEventListener('htmx:ws:error', () => { if (!document.hidden) away(); });

  document.addEventListener('visibilitychange', () => {    // hx-ws leaves a pending retry behind when it reopens
    const connection = live()?._htmx?.ws?.connection;
    if (connection && !document.hidden) clearTimeout(connection.timer);
  });

  addEventListener('pageshow', event => {                  // hx-ws closes the socket of a page kept for Back for good
    if (event.persisted && live()) htmx.process(live(), true);
  });
})();
