// Copy buttons: [data-copy] copies its code block, [data-copy-message] its message. Works on plain http too.
(() => {
  const fallback = text => {
    const box = document.createElement('textarea');
    box.value = text;
    box.className = 'visually-hidden';
    const before = document.activeElement;
    document.body.append(box);
    box.select();
    const done = document.execCommand('copy');
    box.remove();
    before?.focus({ preventScroll: true });
    return done;
  };

  const copy = async text => {
    if (!navigator.clipboard) return fallback(text);                       // only https and localhost have it
    return navigator.clipboard.writeText(text).then(() => true, () => fallback(text));
  };

  const messageText = message => {
    message.classList.add('copying');                                      // hides the bars above code from innerText
    const text = [...message.querySelectorAll('.body, .tail')].map(part => part.innerText.trim()).filter(Boolean).join('\n\n');
    message.classList.remove('copying');
    return text;
  };

  const say = (button, copied) => {
    const label = button.querySelector('.visually-hidden') ?? button;
    button.dataset.label ??= label.textContent;
    label.textContent = copied ? 'Copied' : 'Not allowed';
    button.classList.toggle('copied', copied);
    clearTimeout(button.copyTimer);
    button.copyTimer = setTimeout(() => {
      label.textContent = button.dataset.label;
      button.classList.remove('copied');
    }, 1600);
  };

  document.addEventListener('click', async event => {
    const button = event.target.closest?.('[data-copy], [data-copy-message]');
    if (!button) return;
    const whole = button.matches('[data-copy-message]');
    const text = whole ? messageText(button.closest('.msg')) : button.closest('.code').querySelector('pre').textContent;
    say(button, await copy(text));
  });
})();
