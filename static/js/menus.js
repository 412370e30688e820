// Menus: a [data-menu] closes on a click outside, on Esc (focus returns to its button) and after its form was accepted.
(() => {
  const open = () => [...document.querySelectorAll('details[data-menu][open]')];

  const close = (menu, focus) => {
    menu.open = false;
    if (focus) menu.querySelector('summary').focus();
  };

  document.addEventListener('click', event => {
    for (const menu of open()) if (!menu.contains(event.target)) close(menu);
  });

  document.addEventListener('keydown', event => {
    if (event.key !== 'Escape') return;
    for (const menu of open()) close(menu, menu.contains(document.activeElement));
  });

  document.addEventListener('toggle', event => {
    if (!event.target.matches?.('details[data-menu][open]')) return;
    event.target.querySelector('[aria-current], .rename-form input')?.focus();
  }, true);

  document.addEventListener('htmx:after:request', ({ detail: { ctx } }) => {
    const menu = ctx.sourceElement.closest?.('details[data-menu]');
    if (menu && ctx.response.status < 400) close(menu, menu.contains(document.activeElement));
  });
})();
