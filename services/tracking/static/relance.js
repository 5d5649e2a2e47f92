/* Relance browser tracker. No dependency, no build step, no cookie, no third party. See docs/browser-tracker.md. */
(function (start) {
  try { start(window, document); } catch (error) { console.warn('relance', error); } // never into the page
})(function (window, document) {
  'use strict';
  const waiting = window.relance, current = document.currentScript;
  if (waiting && waiting.track) return; // a second copy of this script
  const script = current && current.dataset.shop ? current : document.querySelector('script[data-shop][data-key]');
  if (!script || !window.fetch) return;
  const config = script.dataset, shop = config.shop, navigator = window.navigator, location = window.location;
  const gpc = navigator.globalPrivacyControl ? config.gpc : undefined; // "memory": store nothing; "off": say nothing
  const address = config.endpoint || new URL('/v1/collect', script.src).href;
  const endpoint = address + '?key=' + encodeURIComponent(config.key);

  const BATCH = 20, BATCH_BYTES = 60000, QUEUE = 200, LINGER_MS = 1000; // a beacon may hold 64 KiB
  const ENGAGED_MS = 15000, GAP_MS = 1800000, BACKOFF_MS = 1000, BACKOFF_MAX_MS = 300000, RETRY_AFTER_MAX_MS = 3600000;
  const CHANNELS = 'email sms push web_push phone whatsapp chat popup post messenger rcs ads'.split(' ');
  const DIGITS = { 0: 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF',
    3: 'BHD IQD JOD KWD LYD OMR TND', 4: 'CLF UYW' }; // of minor units; all others have 2
  const NAME = 'relance:' + shop, PARK = NAME + ':'; // keys of localStorage: the visitor; what each page could not send

  const loud = (error) => config.debug !== undefined && console.warn('relance', error);
  const safe = (work) => function () { try { return work.apply(this, arguments); } catch (error) { loud(error); } };
  const on = (target, names, work) => names.split(' ').forEach((name) =>
    target.addEventListener(name, safe(work), { passive: true, capture: true }));
  const uuid = () => {
    if (window.crypto && crypto.randomUUID) return crypto.randomUUID(); // absent on plain http
    const byte = () => (window.crypto ? crypto.getRandomValues(new Uint8Array(1))[0] : Math.random() * 256 | 0);
    return '10000000-1000-4000-8000-100000000000'.replace(/[018]/g, (c) => (c ^ byte() & 15 >> c / 4).toString(16));
  };
  const fits = (query) => !!window.matchMedia && matchMedia(query).matches;
  const coarse = fits('(pointer: coarse)') && !fits('(any-pointer: fine)');
  const device = !coarse ? 'desktop' : Math.min(screen.width, screen.height) < 600 ? 'mobile' : 'tablet';
  const iso = () => new Date().toISOString();
  const clock = () => performance.now();
  const cut = (text, most) => (text || text === 0 ? String(text).slice(0, most || 1024) : undefined);
  const bytes = (text) => new Blob([text]).size;
  const online = () => navigator.onLine !== false;
  const visible = () => document.visibilityState !== 'hidden';

  // ---- who: in memory until storage is granted, then one record in localStorage
  const page = uuid();
  let visitor = uuid(), person, back, storing = false;
  let granted = {}; // channel -> true | false, as last said

  const storage = () => { try { return window.localStorage; } catch (error) { return null; } };
  const stored = (key) => { try { return JSON.parse(storage().getItem(key)); } catch (error) { return null; } };
  const parked = () => Object.keys(storage() || {}).filter((key) => key.indexOf(PARK) === 0);
  const remember = safe(() => {
    if (storing) storage().setItem(NAME, JSON.stringify({ id: visitor, at: Date.now(), back: back, consent: granted }));
  });
  function recognise(record) { // what is stored was granted before, on this page or an earlier one
    storing = true;
    visitor = record.id;
    back = !!record.back || Date.now() - record.at > GAP_MS;
    granted = Object.assign({}, record.consent, granted);
    remember();
    adopt();
  }
  function grant() {
    if (storing || gpc || !storage()) return;
    const record = stored(NAME);
    if (record && record.id) return recognise(record); // granted in another tab since this page was loaded
    storing = true;
    back = false;
    remember();
  }
  function withdraw() {
    parked().concat(NAME).forEach((key) => storage().removeItem(key));
    if (storing) forget();
  }
  function forget() { // what is said from now on belongs to nobody who was known before
    storing = false;
    visitor = uuid();
    person = back = undefined;
    granted = {};
  }

  function consent(given, proof) {
    const words = {};
    CHANNELS.forEach((channel) => { if (given[channel] !== undefined) words[channel] = !!given[channel]; });
    if (given.storage) grant();
    const news = Object.keys(words).filter((channel) => granted[channel] !== words[channel]);
    news.forEach((channel) => track('consent.changed',
      Object.assign({}, proof, { channel: channel, status: words[channel] ? 'granted' : 'denied' })));
    if (given.storage === false) withdraw(); // said last: the words above are the known visitor's
    Object.assign(granted, words);
    remember();
  }

  // ---- the way out: a bounded queue, one request at a time, each event again until it is answered
  let queue = [], sending = [], timer = 0, attempt = 0, notBefore = 0, surviving = false;

  const park = safe(() => {
    if (!storing) return;
    if (queue.length) storage().setItem(PARK + page, JSON.stringify(queue)); else storage().removeItem(PARK + page);
  });
  function adopt() { // what pages could not send before they were closed
    parked().filter((key) => key !== PARK + page).forEach((key) => {
      queue = [].concat(stored(key) || [], queue);
      bound();
      park();
      storage().removeItem(key);
      wake(0);
    });
  }
  function bound() { // engagement is worth least, then what is oldest
    const least = () => Math.max(0, queue.findIndex((event) => event.type === 'page.engaged'));
    while (queue.length > QUEUE) queue.splice(least(), 1);
  }
  function wake(delay) {
    clearTimeout(timer);
    timer = setTimeout(flush, Math.max(delay, notBefore - clock()));
  }
  function pack(events) { // the first events that fit into a request, and its body
    const senttime = iso(), parts = [];
    let size = 2;
    for (let i = 0; i < events.length && i < BATCH; i++) {
      const part = JSON.stringify(Object.assign({}, events[i], { senttime: senttime }));
      size += bytes(part) + 1;
      if (size > BATCH_BYTES && i) break;
      parts.push(part);
    }
    return { events: events.slice(0, parts.length), body: '[' + parts.join() + ']' };
  }
  function settle(events) {
    queue = queue.filter((event) => events.indexOf(event) < 0);
    park();
  }
  const post = (body, keepalive) => fetch(endpoint, { method: 'POST', body: body, mode: 'cors', credentials: 'omit',
    keepalive: keepalive, headers: { 'content-type': 'text/plain;charset=UTF-8' } }); // simple: no preflight

  const flush = safe(() => {
    timer = 0;
    if (sending.length || !queue.length) return;
    if (!online()) return park();
    if (clock() < notBefore) return wake(0);
    const batch = pack(queue);
    sending = batch.events;
    surviving = !attempt; // keepalive requests outlive the page, but share a small quota: a retry does without
    post(batch.body, surviving).then((answer) => {
      const busy = answer.status === 408 || answer.status === 429 || answer.status >= 500;
      if (busy) return again(answer.headers.get('retry-after'));
      if (config.debug !== undefined && answer.status !== 204) answer.text().then(loud);
      attempt = notBefore = 0;
      sending = [];
      settle(batch.events); // taken, or refused for good
      if (queue.length) wake(0);
    }).catch(() => again()); // no answer: offline, blocked, or an origin that the shop does not list
  });
  function again(after) {
    const most = Math.min(BACKOFF_MAX_MS, BACKOFF_MS * Math.pow(2, attempt++));
    const asked = (isNaN(after) ? Date.parse(after) - Date.now() : after * 1000) || 0;
    notBefore = clock() + Math.max(0, Math.min(asked, RETRY_AFTER_MAX_MS)) + most * (0.5 + Math.random() / 2);
    sending = [];
    park();
    wake(0);
  }
  function leave() { // the page is going: beacons, since nobody will be here to hear an answer
    let rest = queue.filter((event) => !(surviving && sending.indexOf(event) >= 0));
    while (rest.length && online() && !(storing && clock() < notBefore)) {
      const batch = pack(rest);
      if (!(navigator.sendBeacon && navigator.sendBeacon(endpoint, batch.body))) {
        if (storing) break; // the next page sends it
        post(batch.body, true).catch(loud);
      }
      settle(batch.events);
      rest = rest.slice(batch.events.length);
    }
    park();
  }

  // ---- events
  function minor(amount, currency) { // exact, else unknown: a price is never guessed
    const found = /^(\d{1,12})(?:\.(\d+))?$/.exec(String(amount).trim());
    if (!found || !currency) return undefined;
    const digits = +(Object.keys(DIGITS).find((n) => DIGITS[n].indexOf(currency) >= 0) || 2), fraction = found[2] || '';
    return /[1-9]/.test(fraction.slice(digits)) ? undefined : +(found[1] + (fraction + '0000').slice(0, digits));
  }
  function exact(holder, name, currency) { // a copy with `name`, a decimal, as `name_minor`
    const copy = Object.assign({}, holder), field = name + '_minor';
    if (copy[name] !== undefined && copy[field] === undefined) copy[field] = minor(copy[name], currency);
    delete copy[name];
    return copy;
  }
  function track(type, given) {
    if (gpc === 'off') return;
    const data = Object.assign({ page: cut(location.pathname) }, exact(given, 'total', (given || {}).currency));
    if (data.items) data.items = data.items.map((item) =>
      Object.assign(exact(item, 'price', data.currency), { product_id: cut(item.product_id, 256) }));
    const event = { specversion: '1.0', id: uuid(), source: '/shops/' + shop, type: String(type), time: iso(),
      visitorid: visitor, personid: person, device: device, returning: back, data: data };
    if (bytes(JSON.stringify(event)) > BATCH_BYTES) return loud('an event is too large: ' + type);
    queue.push(event);
    bound();
    if (!online() || attempt) park();
    if (queue.length >= BATCH) flush(); else if (!timer) wake(LINGER_MS);
  }

  // ---- pages
  let landing, here, view = { products: {} }, left = false;
  const path = () => location.pathname + location.search;
  function shown() { // without what looks like personal data or a secret
    const url = new URL(location.href), query = url.searchParams;
    url.hash = '';
    Array.from(query.keys()).filter((name) => /mail|token|passw|secret|phone|name$|^code$/i.test(name) ||
      /@/.test(query.get(name))).forEach((name) => query.delete(name));
    return cut(url.href, 8192);
  }

  function show(referrer) {
    here = path();
    landing = landing || here;
    left = false;
    const seen = view = { engaged: 0, told: 0, deepest: 0, from: clock(), products: {} };
    const query = new URLSearchParams(location.search);
    track('page.viewed', { url: shown(), title: cut(document.title), referrer: cut(referrer.split(/[?#]/)[0], 8192),
      campaign: cut(query.get('utm_campaign') || query.get('utm_id')),
      consent: Object.keys(granted).length ? Object.assign({}, granted) : undefined });
    remember();
    read();
    setTimeout(safe(() => seen === view && read()), 1500); // what the page draws later
  }

  function moved(event) {
    if (!here || path() === here) return;
    const from = location.origin + here.split('?')[0];
    if (event && coarse && path() === landing) exit('back');
    setTimeout(safe(() => path() !== here && show(from)), 0); // the page sets its title first
  }

  ['pushState', 'replaceState'].forEach((name) => {
    const original = history[name];
    history[name] = function () {
      const result = original.apply(this, arguments);
      safe(moved)();
      return result;
    };
  });
  on(window, 'popstate', moved);
  on(window, 'pagehide', () => {
    if (here && !left) track('page.left', { engaged_ms: Math.round(view.engaged) });
    left = true;
    remember();
    leave();
  });
  on(window, 'pageshow', (event) => event.persisted && show(document.referrer)); // back from the browser's own cache
  on(document, 'visibilitychange', () => {
    if (visible() || left) return;
    if (coarse) exit('hidden'); // on a phone, to hide the page is to leave it
    flush();
    park();
  });
  on(window, 'online', () => { attempt = notBefore = 0; wake(0); });
  on(window, 'storage', (event) => { // withdrawn in another tab
    if (storing && event.key === NAME && event.newValue === null) forget();
  });

  // ---- engagement: visible, and touched within the last 15 s
  let touched = -Infinity, ticked = clock();
  on(window, 'pointerdown pointermove keydown wheel touchstart touchmove', (event) => {
    if (event.isTrusted) touched = clock();
  });
  setInterval(safe(() => {
    const now = clock(), gone = Math.min(now - ticked, 2000); // a machine that slept was not being used
    ticked = now;
    if (!here || left || !visible() || now - touched >= ENGAGED_MS) return;
    view.engaged += gone;
    if (view.engaged < view.told + ENGAGED_MS) return;
    view.told += ENGAGED_MS;
    track('page.engaged', { engaged_ms: Math.round(view.engaged) });
  }), 1000);

  // ---- exit intent, once a page
  function exit(trigger) {
    if (!here || view.exited || clock() - view.from < 1000) return; // at first the pointer comes from the address bar
    view.exited = true;
    track('exit.intent', { trigger: trigger });
  }
  on(document, 'mouseout', (event) => !event.relatedTarget && event.clientY <= 0 && exit('pointer'));
  let turn = { y: 0, at: 0 };
  on(window, 'scroll', () => {
    const y = window.scrollY, now = clock(), height = window.innerHeight;
    view.deepest = Math.max(view.deepest || 0, y);
    if (y >= turn.y || now - turn.at > 400) turn = { y: y, at: now }; // upwards from here, so far
    else if (coarse && view.deepest > height && turn.y - y > height / 2) exit('scroll');
  });

  // ---- products: data attributes, else one schema.org Product in JSON-LD
  function product(item, currency, type) {
    if (!item || !cut(item.product_id) || (!type && view.products[item.product_id])) return;
    if (!type) view.products[item.product_id] = true;
    track(type || 'product.viewed', { product_id: cut(item.product_id, 256), currency: currency, items: [item] });
  }
  function described(element) {
    const of = (name) => cut(element.getAttribute('data-relance-' + name.replace('_', '-')), 4096);
    const item = { product_id: of('product') };
    'name price sku variant brand category url image_url'.split(' ').forEach((name) => { item[name] = of(name); });
    return { item: item, currency: of('currency'), on: of('on') || 'view', cart: of('cart') };
  }
  const first = (value) => (Array.isArray(value) ? value[0] : value) || '';
  const named = (value) => cut(first(value).name || first(value).url || first(value), 4096);
  function structured() {
    const found = [], is = (kind) => /^(https?:\/\/schema\.org\/)?Product(Group)?$/.test(kind);
    const look = (node) => {
      if (Array.isArray(node)) node.forEach(look);
      else if (node && [].concat(node['@type']).some(is)) found.push(node);
      else if (node) [node['@graph'], node.mainEntity].forEach(look);
    };
    const texts = document.querySelectorAll('script[type="application/ld+json"]');
    Array.from(texts).forEach(safe((text) => look(JSON.parse(text.textContent))));
    return found.length === 1 ? found[0] : undefined; // several: a list, not a product's page
  }
  function read() {
    const elements = Array.from(document.querySelectorAll('[data-relance-product]'));
    const marked = elements.map(described).filter((one) => one.on === 'view');
    marked.forEach((one) => product(one.item, one.currency));
    const node = !marked.length && structured();
    if (!node) return;
    const offer = first(node.offers), image = first(node.image);
    product({ product_id: node.productID || node.sku || node.productGroupID || node['@id'] || node.url,
      name: cut(node.name, 4096), price: offer.price || offer.lowPrice, sku: cut(node.sku), brand: named(node.brand),
      category: named(node.category), url: cut(node.url, 8192), image_url: cut(image.url || image, 8192),
    }, offer.priceCurrency);
  }

  // ---- the cart
  let cartid, last;
  const basket = (id) => (cartid = cut(id, 256) || cartid || visitor); // a shop without ids of carts has one a visitor
  function cart(given) {
    const data = Object.assign({}, given, { cart_id: basket(given.cart_id) }), text = JSON.stringify(data);
    if (text !== last) track('cart.updated', data);
    last = text;
  }

  on(document, 'click', (event) => {
    const element = event.target.closest && event.target.closest('[data-relance-product]');
    if (!element) return;
    const one = described(element), type = { add: 'cart.product_added', remove: 'cart.product_removed' }[one.on];
    if (one.on === 'click') product(one.item, one.currency, 'product.clicked');
    else if (type) track(type, { cart_id: basket(one.cart), currency: one.currency, items: [one.item] });
  });

  // ---- GA4's data layer, where data-datalayer asks for it
  const GA4 = { view_item: 'product.viewed', select_item: 'product.clicked', view_item_list: 'product.list_viewed',
    search: 'products.searched', view_search_results: 'products.searched', add_to_cart: 'cart.product_added',
    remove_from_cart: 'cart.product_removed', view_cart: 'cart.viewed', begin_checkout: 'checkout.started' };

  function pushed(entry) { // an object, or the arguments of gtag()
    const call = entry && entry[0] === 'event', type = entry && GA4[call ? entry[1] : entry.event];
    if (!type) return;
    const given = (call ? entry[2] : entry.ecommerce || entry) || {}, currency = cut(given.currency);
    const items = given.items && given.items.slice(0, 500).map((item) => ({ product_id: item.item_id || item.item_name,
      name: cut(item.item_name), price: item.price, quantity: +item.quantity || undefined, brand: cut(item.item_brand),
      category: cut(item.item_category), variant: cut(item.item_variant) }));
    if (type === 'product.viewed') return product(first(items), currency);
    if (type === 'product.clicked') return product(first(items), currency, type);
    const data = { currency: currency, items: items }, list = given.item_list_id || given.item_list_name;
    if (type === 'product.list_viewed') data.list_id = cut(list || location.pathname, 256);
    else if (type === 'products.searched') data.query = cut(given.search_term, 4096) || '';
    else data.cart_id = basket(given.cart_id);
    if (type === 'checkout.started') data.checkout_id = cut(given.checkout_id, 256) || data.cart_id;
    if (type === 'checkout.started' || type === 'cart.viewed') data.total = given.value;
    track(type, data);
  }
  function listen() {
    const name = config.datalayer || 'dataLayer', layer = window[name] = window[name] || [], push = layer.push;
    layer.push = function () {
      const result = push.apply(layer, arguments);
      Array.from(arguments).forEach(safe(pushed));
      return result;
    };
    Array.from(layer).forEach(safe(pushed));
  }

  // ---- what the page says
  const api = {
    track: track, cart: cart, consent: consent, product: product, flush: flush,
    identify: (id) => { person = cut(id, 256); },
    visitor: (tell) => { if (tell) tell(visitor); return visitor; },
    push: function () { Array.from(arguments).forEach((call) => api[call[0]].apply(api, [].slice.call(call, 1))); },
  };
  Object.keys(api).forEach((name) => { api[name] = safe(api[name]); });

  const record = stored(NAME);
  if (gpc) safe(withdraw)(); else if (record && record.id) safe(recognise)(record);
  window.relance = api;
  const begin = safe(() => {
    const calls = Array.isArray(waiting) ? waiting : [], early = (call) => /^(consent|identify)$/.test(call[0]);
    calls.filter(early).forEach((call) => api.push(call));
    if (!here) show(document.referrer);
    calls.filter((call) => !early(call)).forEach((call) => api.push(call));
    if (config.datalayer !== undefined) listen();
  });
  if (document.prerendering) document.addEventListener('prerenderingchange', begin, { once: true });
  else if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', begin, { once: true });
  else begin();
});
