// One polite announcement for every answer that ends.
(() => {
  const ends = { complete: 'Answer finished', stopped: 'Answer stopped', failed: 'Answer failed', interrupted: 'Answer interrupted' };

  document.addEventListener('chat:message', ({ detail }) => {
    for (const { state, words } of detail.finished ?? []) {
      document.getElementById('announce').textContent = `${ends[state]}, ${words} words.`;
    }
  });
})();
