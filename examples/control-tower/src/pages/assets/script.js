// What the pages cannot do by themselves: passkeys, copying, revealing, showing news sooner. Everything else works without.
"use strict";

(() => {
  const decode = (text) =>
    Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const encode = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer)))
      .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

  const supported = Boolean(window.PublicKeyCredential && navigator.credentials);

  // WebAuthn Level 3 §5.1.8 and §5.1.9, and the same by hand for browsers without.
  const parseRequest = (json) => {
    if (PublicKeyCredential.parseRequestOptionsFromJSON) {
      return PublicKeyCredential.parseRequestOptionsFromJSON(json);
    }
    const allow = (json.allowCredentials ?? []).map((one) => ({ ...one, id: decode(one.id) }));
    return { ...json, challenge: decode(json.challenge), allowCredentials: allow };
  };
  const parseCreation = (json) => {
    if (PublicKeyCredential.parseCreationOptionsFromJSON) {
      return PublicKeyCredential.parseCreationOptionsFromJSON(json);
    }
    const exclude = (json.excludeCredentials ?? []).map((one) => ({ ...one, id: decode(one.id) }));
    const user = { ...json.user, id: decode(json.user.id) };
    return { ...json, challenge: decode(json.challenge), user, excludeCredentials: exclude };
  };
  // WebAuthn Level 3 §5.1, `toJSON`. Some password managers hand out credentials whose method is broken.
  const toJson = (credential) => {
    try {
      return credential.toJSON();
    } catch {
      const response = {};
      for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
        if (credential.response[name]) response[name] = encode(credential.response[name]);
      }
      if (credential.response.getTransports) response.transports = credential.response.getTransports();
      return {
        id: credential.id,
        rawId: encode(credential.rawId),
        type: credential.type,
        authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
        clientExtensionResults: credential.getClientExtensionResults(),
        response,
      };
    }
  };

  const said = {
    NotAllowedError: "That was cancelled, or took too long. Try again, or choose another way.",
    InvalidStateError: "This device has a passkey for you already.",
    NotSupportedError: "This device cannot make a passkey that is accepted here.",
    SecurityError: "The browser refuses passkeys for this address. Is it the one that the tower is known by?",
  };
  const tell = (form, error) => {
    const place = form.querySelector("[data-problem]");
    if (!place) return;
    place.querySelector("p").textContent =
      said[error?.name] ?? "The passkey could not be used. Try again, or choose another way.";
    place.hidden = false;
  };
  const send = (form, credential) => {
    form.elements.namedItem("response").value = JSON.stringify(toJson(credential));
    form.submit();
  };

  // One ceremony at a time: the one that waits for autofill gives way to the one that is asked for.
  let waiting = null;
  const run = async (form, conditional) => {
    waiting?.abort();
    const controller = new AbortController();
    waiting = controller;
    const { signal } = controller;
    const options = JSON.parse(form.dataset.passkey).publicKey;
    try {
      const credential =
        form.dataset.ceremony === "create"
          ? await navigator.credentials.create({ publicKey: parseCreation(options), signal })
          : await navigator.credentials.get({
              publicKey: parseRequest(options),
              mediation: conditional ? "conditional" : "optional",
              signal,
            });
      if (credential) send(form, credential);
    } catch (error) {
      if (!conditional && error?.name !== "AbortError") tell(form, error);
    }
  };

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    const button = form.querySelector("button");
    if (!supported) {
      const place = form.querySelector("[data-problem]");
      place.querySelector("p").textContent = window.isSecureContext
        ? "This browser cannot use passkeys."
        : "Passkeys need a secure connection (https).";
      place.hidden = false;
      continue;
    }
    button.disabled = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      run(form, false);
    });
    if (form.dataset.autofill !== undefined && PublicKeyCredential.isConditionalMediationAvailable) {
      PublicKeyCredential.isConditionalMediationAvailable().then((available) => {
        if (available && !waiting) run(form, true);
      }, () => {});
    }
  }

  // What the password manager is told (WebAuthn Level 3 §5.1.10); where it cannot be told, nothing is lost.
  for (const place of document.querySelectorAll("[data-signals]")) {
    for (const { method, ...details } of JSON.parse(place.dataset.signals)) {
      window.PublicKeyCredential?.[method]?.(details)?.catch(() => {});
    }
  }

  const status = document.querySelector("[data-status]");
  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.hidden = !navigator.clipboard;
    const label = button.querySelector("[data-label]");
    const before = label.textContent;
    button.addEventListener("click", async () => {
      const text = button.dataset.copy || document.getElementById(button.dataset.from)?.innerText.trim();
      try {
        await navigator.clipboard.writeText(text);
        label.textContent = "Copied";
      } catch {
        label.textContent = "Not copied";
      }
      if (status) status.textContent = label.textContent;
      setTimeout(() => {
        label.textContent = before;
      }, 2000);
    });
  }

  for (const link of document.querySelectorAll("a[data-download]")) {
    const text = document.getElementById(link.dataset.from).innerText.trim() + "\n";
    link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
    link.hidden = false;
  }

  for (const button of document.querySelectorAll("button[data-reveal]")) {
    const input = document.getElementById(button.dataset.reveal);
    button.hidden = false;
    button.addEventListener("click", () => {
      const shown = input.type === "text";
      input.type = shown ? "password" : "text";
      button.setAttribute("aria-pressed", String(!shown));
      button.querySelector("[data-label]").textContent = shown ? "Show" : "Hide";
    });
    input.form?.addEventListener("submit", () => {
      input.type = "password";
    });
  }

  for (const box of document.querySelectorAll("input[data-submit]")) {
    box.addEventListener("change", () => box.form.requestSubmit());
    const button = box.form.querySelector("[data-without-script]");
    if (button) button.hidden = true;
  }

  // Times of the server become those of the reader.
  const localise = (root) => {
    for (const place of root.querySelectorAll("time[datetime]")) {
      const date = new Date(place.dateTime);
      if (Number.isNaN(date.valueOf())) continue;
      place.title = date.toLocaleString(undefined, { dateStyle: "full", timeStyle: "long" });
      place.textContent = date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
    }
  };
  localise(document);

  // A part of a page that is looked for again: what is open in it stays open, what is chosen stays chosen, and the focus stays where
  // it is. It waits while a list is open or something is typed, and for somebody to be there.
  for (const place of document.querySelectorAll("[data-live]")) {
    const LONGEST = 30 * 60 * 1000;
    let there = Date.now();
    let pointed = 0;
    let before = null;
    for (const kind of ["pointerdown", "keydown", "pointermove"]) {
      document.addEventListener(kind, () => {
        there = Date.now();
      }, { passive: true });
    }
    // Nothing moves away from under a pointer that is on its way.
    place.addEventListener("pointermove", () => {
      pointed = Date.now();
    }, { passive: true });
    const renew = (found) => {
      const focused = place.contains(document.activeElement) ? document.activeElement : null;
      const isSummary = focused?.matches("summary");
      const key = isSummary ? focused.parentElement.id : focused?.id;
      if (focused && !key) return false;
      const open = [...place.querySelectorAll("details[open][id]")].map((one) => one.id);
      const chosen = [...place.querySelectorAll("select[id]")].map((one) => [one.id, one.value]);
      place.replaceChildren(...document.importNode(found, true).childNodes);
      for (const id of open) {
        const one = document.getElementById(id);
        if (one) one.open = true;
      }
      for (const [id, value] of chosen) {
        const one = document.getElementById(id);
        if (one && [...one.options].some((option) => option.value === value)) one.value = value;
      }
      localise(place);
      if (key) {
        const one = document.getElementById(key);
        (isSummary ? one?.querySelector("summary") : one)?.focus({ preventScroll: true });
      }
      if (place.dataset.news !== found.dataset.news) {
        place.dataset.news = found.dataset.news;
        if (status) status.textContent = found.dataset.news;
      }
      return true;
    };
    const look = () => {
      if (document.hidden || Date.now() - there > LONGEST) return;
      if (place.contains(document.activeElement) && document.activeElement.matches("select, input, textarea")) return;
      const request = new XMLHttpRequest();
      request.open("GET", place.dataset.live);
      request.responseType = "document";
      request.addEventListener("load", () => {
        const found = request.status === 200 && request.response?.querySelector("[data-live]");
        // The session has ended, or the page is no longer theirs: it says so itself.
        if (!found) {
          if (request.status < 500) location.reload();
          return;
        }
        if (found.isEqualNode(before) || Date.now() - pointed < 1000) return;
        if (renew(found)) before = found;
      });
      request.send();
    };
    setInterval(look, Number(place.dataset.seconds) * 1000);
  }

  // What opens in place closes by Escape, and the focus goes back to what opened it.
  document.addEventListener("keydown", (event) => {
    const act = event.key === "Escape" && event.target.closest("details.act[open]");
    if (!act) return;
    act.open = false;
    act.querySelector("summary").focus();
  });

  // A menu closes by Escape, by a click elsewhere, and when the focus leaves it.
  for (const menu of document.querySelectorAll("details.menu")) {
    document.addEventListener("click", (event) => {
      if (!menu.contains(event.target)) menu.open = false;
    });
    menu.addEventListener("focusout", (event) => {
      if (event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false;
    });
    menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !menu.open) return;
      menu.open = false;
      menu.querySelector("summary").focus();
    });
  }
})();
