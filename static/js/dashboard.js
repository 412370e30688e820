// The dashboard: rows are filtered while one types, choices are sent when made, a form that was accepted is emptied.
(() => {
  const field = () => document.getElementById('row-filter');
  const words = () => field().value.toLowerCase().split(/\s+/).filter(Boolean);
  const said = row => [...row.querySelectorAll('th, td:not(.row-actions)')].map(cell => cell.textContent).join(' ').toLowerCase();

  const filter = () => {
    const rows = document.querySelectorAll('.installed tbody tr');
    if (!field() || !rows.length) return;
    let shown = 0;
    for (const row of rows) {
      row.hidden = !words().every(word => said(row).includes(word));
      shown += !row.hidden;
    }
    document.querySelector('[data-no-match]').hidden = shown > 0;
  };

  const keepInLinks = () => {                   // a sort begun while one has typed keeps what was typed
    for (const link of document.querySelectorAll('.installed thead a')) {
      const address = new URL(link.href);
      address.searchParams.set('q', field().value);
      link.href = address;
    }
  };

  document.addEventListener('input', event => {
    if (event.target !== field()) return;
    filter();
    keepInLinks();
  });
  document.addEventListener('search', event => {                           // its own button emptied the field
    if (event.target === field() && !field().value && field().defaultValue) field().form.requestSubmit();
  });
  document.addEventListener('change', event => {
    const form = event.target.form;
    if (form?.matches('[data-submit]') || event.target.id === 'row-can') form.requestSubmit();
  });
  document.addEventListener('htmx:after:request', ({ detail: { ctx } }) => {
    if (ctx.sourceElement.matches?.('[data-empties]') && ctx.response.status < 400) ctx.sourceElement.reset();
  });
  document.addEventListener('htmx:after:swap', () => { if (field()?.value) filter(); });
  document.addEventListener('DOMContentLoaded', () => { if (field()?.value) filter(); });
})();
