// Toasts: says what went wrong with an action, or what it has begun, in the server's own words; offers to try again.
(() => {
  const offline = 'The server cannot be reached. Nothing is lost; try again in a moment.';

  const button = (text, className, act) => {
    const element = document.createElement('button');
    element.type = 'button';
    element.className = className;
    element.textContent = text;
    element.addEventListener('click', act);
    return element;
  };

  const show = (text, again, kind = 'error') => {
    const region = document.getElementById('toasts');
    if (!region) return;
    for (const old of [...region.children]) if (old.querySelector('p')?.textContent === text) old.remove();
    const toast = document.createElement('div'), said = document.createElement('p');
    toast.className = `toast ${kind}`;
    said.textContent = text;
    toast.append(said);
    if (again) toast.append(button('Retry', 'button small', () => { toast.remove(); again(); }));
    toast.append(button('Dismiss', 'button small plain', () => toast.remove()));
    region.append(toast);
  };

  const again = ({ sourceElement: form, request, response }) => {
    if (!(form instanceof HTMLFormElement) || [400, 403, 404, 413].includes(response?.status)) return null;
    return () => { if (form.isConnected) form.requestSubmit(request.submitter?.form === form ? request.submitter : null); };
  };

  const sentence = ctx => {
    try {
      return JSON.parse(ctx.text).error ?? null;
    } catch {
      return null;                                                         // a proxy's page, not our server's word
    }
  };

  document.addEventListener('htmx:response:error', ({ detail: { ctx } }) => {
    show(sentence(ctx) ?? `The server answered with an error (${ctx.response.status}).`, again(ctx));
  });
  document.addEventListener('htmx:error', ({ detail: { ctx } }) => {
    if (ctx?.request && !ctx.response) show(offline, again(ctx));
  });
  document.addEventListener('chat:error', ({ detail }) => {
    if (detail?.error) show(detail.error);
  });
  document.addEventListener('qc:said', ({ detail }) => {
    if (detail?.text) show(detail.text, null, 'info');
  });
  document.addEventListener('click', event => event.target.closest?.('[data-dismiss]')?.closest('.toast')?.remove());
  document.addEventListener('animationend', event => {                     // toasts.css holds the clock, so a pointer can stop it
    if (event.animationName === 'toast-life') event.target.remove();
  });
})();
