// The theme button: auto, light, dark. Kept here for the next page's first paint, and in a cookie for the server.
(() => {
  const root = document.documentElement;
  const states = ['auto', 'light', 'dark'];
  const names = { auto: 'Theme: as the system', light: 'Theme: light', dark: 'Theme: dark' };

  const stored = () => {
    try { return localStorage.getItem('theme'); } catch { return null; }   // storage may be switched off
  };

  const label = () => document.querySelectorAll('[data-theme-toggle]').forEach(button => {
    button.title = names[root.dataset.theme];
    button.setAttribute('aria-label', names[root.dataset.theme]);
  });

  const apply = theme => {
    root.dataset.theme = theme;
    const meta = document.querySelector('meta[name="color-scheme"]');
    if (meta) meta.content = theme === 'auto' ? 'light dark' : theme;
    label();
  };

  const keep = theme => {
    document.cookie = `theme=${theme}; path=${root.dataset.base}; max-age=31536000; samesite=lax`;
    try { localStorage.setItem('theme', theme); } catch { return; }        // the cookie alone will do
  };

  root.classList.add('js');
  if (states.includes(stored())) apply(stored());

  document.addEventListener('click', event => {
    if (!event.target.closest?.('[data-theme-toggle]')) return;
    const next = states[(states.indexOf(root.dataset.theme) + 1) % states.length];
    apply(next);
    keep(next);
  });
  document.addEventListener('DOMContentLoaded', label);
  addEventListener('storage', event => {                                   // the other tabs follow
    if (event.key === 'theme' && states.includes(event.newValue)) apply(event.newValue);
  });
})();
