/* A page that is opened from disk may start no Worker. There its search runs in a hidden frame, with the same messages. */
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.appendChild(frame);
      const inside = frame.contentWindow;
      frame.contentDocument.write("<!doctype html><body></body>");
      frame.contentDocument.close();
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      inside.importScripts = (...urls) => urls.reduce((before, next) => before.then(() => load(frame, next)), Promise.resolve());
      this.loaded = load(frame, url);
      this.postMessage = (data) => this.loaded.then(() => inside.dispatchEvent(new MessageEvent("message", { data })));
      this.addEventListener("message", (event) => this.onmessage?.(event));
    }
    terminate() {}
  };

  function load(frame, url) {
    return new Promise((resolve, reject) => {
      const script = frame.contentDocument.createElement("script");
      script.src = url;
      script.onload = resolve;
      script.onerror = () => reject(new Error(url));
      frame.contentDocument.body.appendChild(script);
    });
  }
}
