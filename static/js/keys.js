// Keys: / writes, ? lists the keys, Alt+N starts a new chat.
(() => {
  const typing = element => element.matches?.('input, textarea, select, [contenteditable]');
  const help = () => document.getElementById('help');

  const actions = {
    '/': () => document.getElementById('composer-text')?.focus(),
    '?': () => { if (help() && !help().open) help().showModal(); },
  };

  document.addEventListener('keydown', event => {
    if (event.altKey && event.code === 'KeyN' && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      document.querySelector('[data-new-chat]')?.click();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || !actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  });

  document.addEventListener('click', event => {
    if (event.target.matches?.('[data-close-help]') || event.target === help()) help().close();
  });
})();
