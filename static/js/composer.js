// The composer: Enter sends; what was sent is cleared once the server has it; suggestions fill it.
(() => {
  const touch = matchMedia('(pointer: coarse) and (hover: none)');
  const grows = CSS.supports('field-sizing', 'content');
  const form = () => document.querySelector('[data-composer]');
  const same = (a, b) => a?.replace(/\r\n/g, '\n') === b?.replace(/\r\n/g, '\n');
  let tried = null;        // the text last sent and not yet accepted: sending it again must be the same send

  // randomUUID does not exist on plain http
  const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(12)), byte => byte.toString(16).padStart(2, '0')).join('');

  const fit = text => {
    if (grows) return;
    text.rows = 1;
    text.rows = Math.min(14, Math.max(1, Math.floor(text.scrollHeight / parseFloat(getComputedStyle(text).lineHeight))));
  };

  const count = composer => {
    const max = +composer.dataset.max, left = max - composer.elements.content.value.length;
    const out = document.getElementById('composer-count');
    out.textContent = left > max / 10 ? '' : left >= 0 ? `${left.toLocaleString('en')} characters left` : `${(-left).toLocaleString('en')} characters too many`;
    out.classList.toggle('over', left < 0);
  };

  const changed = composer => {
    fit(composer.elements.content);
    count(composer);
  };

  const accepted = (composer, content) => {
    tried = null;
    composer.elements.client_id.value = newId();
    if (!same(composer.elements.content.value, content)) return;           // the writer went on meanwhile
    composer.elements.content.value = '';
    changed(composer);
    composer.dispatchEvent(new CustomEvent('composer:sent', { bubbles: true }));
  };

  document.addEventListener('submit', event => {
    if (event.target !== form()) return;
    const text = event.target.elements.content.value;
    if (tried !== null && !same(tried, text)) event.target.elements.client_id.value = newId();
    tried = text;
  }, true);

  document.addEventListener('htmx:after:request', ({ detail: { ctx } }) => {
    if (ctx.sourceElement === form() && ctx.response.status < 400) accepted(form(), ctx.request.body.get('content'));
  });

  document.addEventListener('keydown', event => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229 || touch.matches) return;
    if (!event.target.matches?.('[data-composer] textarea')) return;
    event.preventDefault();
    if (event.target.value.trim()) event.target.form.requestSubmit();
  });

  document.addEventListener('input', event => {
    if (event.target.matches?.('[data-composer] textarea')) changed(event.target.form);
  });

  document.addEventListener('click', event => {
    const suggestion = event.target.closest?.('[data-fill]'), composer = form();
    if (!suggestion || !composer) return;
    event.preventDefault();
    event.stopPropagation();
    composer.elements.content.value = suggestion.value;
    composer.elements.content.focus();
    composer.elements.content.dispatchEvent(new Event('input', { bubbles: true }));
  }, true);

  document.addEventListener('DOMContentLoaded', () => {
    const composer = form();
    if (!composer) return;
    composer.elements.client_id.value = newId();                           // a restored page may hold a used one
    changed(composer);
    if (!touch.matches) composer.elements.content.focus({ preventScroll: true });
  });
})();
