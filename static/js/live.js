// The live page: every frame says which revision of its document it builds on; only a frame that fits is applied.
(() => {
  let state = null;        // {epoch, revs: {session, board}, waiting, handled}: what this page shows, nothing else
  let healed = 0;

  const stateOf = element => state ??= {
    epoch: element.dataset.epoch,
    revs: { session: +element.dataset.rev || null, board: +element.dataset.boardRev },
    waiting: false, handled: 0,
  };

  const say = (connection, type, payload) => {
    if (connection.socket?.readyState === WebSocket.OPEN) connection.socket.send(JSON.stringify({ type, payload }));
  };

  const hello = connection => {
    const { epoch, revs: { session, board } } = state;
    state.waiting = true;
    state.handled = 0;
    say(connection, 'hello', { after: [epoch, session ?? '', board ?? ''].join('.') });
  };

  const heal = element => {                     // the page is not what we thought: snapshots, at most one a second
    const connection = element._htmx?.ws?.connection;
    if (!connection) return;
    state.revs = { session: null, board: null };
    state.waiting = true;
    setTimeout(() => hello(connection), Math.max(0, 1000 - (Date.now() - healed)));
    healed = Date.now();
  };

  const grow = ({ id, off, text }) => {         // text added to the one text node of an open code block or a thought
    const host = document.getElementById(id);
    if (!host) return false;
    const node = host.firstChild ?? host.appendChild(document.createTextNode(''));
    if (node.length !== off) return false;
    node.appendData(text);
    return true;
  };

  const fits = (connection, frame) => {
    if (frame.prev === null) return true;
    const rev = state.revs[frame.doc];
    if (frame.epoch === state.epoch && frame.prev === rev) return true;
    const late = frame.epoch === state.epoch && rev !== null && frame.prev < rev;
    if (!late && !state.waiting) hello(connection);
    return false;
  };

  const take = (element, connection, frame) => {
    if (++state.handled % 16 === 0) say(connection, 'ack', { count: 16 });
    if (!fits(connection, frame)) return false;
    if (!(frame.payload.deltas ?? []).every(grow)) return heal(element), false;
    state.waiting = false;
    state.epoch = frame.epoch;
    state.revs[frame.doc] = frame.rev;
    return true;
  };

  htmx.registerExtension('qc-live', {
    htmx_ws_after_connection: (element, { connection }) => { stateOf(element); hello(connection); },

    htmx_ws_before_message_incoming(element, { connection, message }) {
      let frame;
      try { frame = JSON.parse(message.data); } catch { return false; }      // only our envelope is taken
      if (frame.rev !== undefined && !take(element, connection, frame)) return false;
      element.dispatchEvent(new CustomEvent(`chat:${frame.type}`, { detail: frame.payload, bubbles: true }));
      if (!frame.content) return false;
      message.data = frame.content;
      return true;
    },

    htmx_before_swap(element, { tasks }) {      // htmx drops a partial without a target silently; we must not
      if (element.id !== 'live' || !tasks.some(task => !task.target && task.swapSpec.style !== 'delete')) return true;
      return heal(element), false;
    },

    htmx_ws_error: (element, { error }) => { if (error instanceof Error && state) heal(element); },
  });
})();
