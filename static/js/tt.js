// Trusted Types for htmx: one policy, scripts in fragments become empty, inline expressions are refused.
(() => {
  const refuse = () => { throw new Error('inline expressions are disabled'); };
  htmx.registerExtension('qc-tt', {
    init(api) {
      const rules = { createHTML: html => html, createScript: () => '' };
      api.initSecurity(window.trustedTypes?.createPolicy('htmx', rules) ?? rules, refuse, refuse);
    },
  });
})();
