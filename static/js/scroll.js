// The scroll box stays at the end while the reader is there; otherwise "Jump to latest" appears.
(() => {
  const near = 64;         // px from the end that still count as being there

  document.addEventListener('DOMContentLoaded', () => {
    const box = document.getElementById('scroll'), log = document.getElementById('log');
    const jump = document.getElementById('jump');
    if (!box || !log) return;
    const hash = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    let stick = !hash || !log.contains(hash);
    let fromEnd = null;
    const begun = () => log.querySelector('.msg');

    const atEnd = () => box.scrollHeight - box.scrollTop - box.clientHeight < near;

    const follow = () => {
      if (fromEnd !== null) box.scrollTop = box.scrollHeight - fromEnd;
      else if (stick && begun()) box.scrollTop = box.scrollHeight;
      fromEnd = null;
      jump.classList.toggle('shown', !atEnd());
    };

    document.addEventListener('htmx:before:swap', ({ detail: { ctx } }) => { // earlier messages come in above what is read
      if (ctx?.sourceElement?.closest('#older')) fromEnd = box.scrollHeight - box.scrollTop;
    });

    box.addEventListener('scroll', () => {
      stick = atEnd();
      jump.classList.toggle('shown', !stick);
    }, { passive: true });

    log.addEventListener('click', event => {                               // who unfolds something wants to see that
      if (event.target.closest('summary')) stick = false;
    });
    log.addEventListener('toggle', event => {
      if (event.target.matches('.facts[open]')) event.target.scrollIntoView({ block: 'nearest' });
    }, true);

    jump.addEventListener('click', event => {
      event.preventDefault();
      stick = true;
      follow();
      box.focus({ preventScroll: true });
    });

    document.addEventListener('submit', event => {                         // who sends wants to see it
      if (event.target.matches('[data-composer]')) stick = true;
    });

    const watch = new ResizeObserver(follow);
    watch.observe(log);
    watch.observe(box);                                                    // the keyboard of a phone, a growing composer
    follow();
  });
})();
