// One polite announcement for every answer, and for every download, that ends.
(() => {
  const ends = { complete: 'Answer finished', stopped: 'Answer stopped', failed: 'Answer failed', interrupted: 'Answer interrupted' };
  const say = text => { document.getElementById('announce').textContent = text; };

  document.addEventListener('chat:message', ({ detail }) => {
    for (const { state, words } of detail.finished ?? []) say(`${ends[state]}, ${words} words.`);
  });

  document.addEventListener('chat:status', ({ detail }) => {
    if (detail.said) say(detail.said.join(' '));
  });
})();
