// Keeps what is being uploaded in IndexedDB, so that a reload or a closed laptop does not lose it.
// A record has the body until the service has accepted it; then only the id of its job stays, and is soon dropped.

const NAME = "sentiq";
const STORE = "uploads";

function opened() {
  return new Promise((done, fail) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id" });
    request.onsuccess = () => done(request.result);
    request.onerror = () => fail(request.error);
  });
}

async function run(mode, act) {
  const database = await opened();
  try {
    return await new Promise((done, fail) => {
      const transaction = database.transaction(STORE, mode);
      const request = act(transaction.objectStore(STORE));
      transaction.oncomplete = () => done(request.result);
      transaction.onerror = () => fail(transaction.error);
      transaction.onabort = () => fail(transaction.error);
    });
  } finally {
    database.close();
  }
}

// A browser in private mode, or without room, keeps nothing: the upload works, but not over a reload.
const orNothing = (promise, nothing) => promise.catch(() => nothing);

/** Keeps an upload. Returns whether it is kept. */
export const keepUpload = (upload) => orNothing(run("readwrite", (store) => store.put(upload)).then(() => true), false);

export const uploadOf = (id) => orNothing(run("readonly", (store) => store.get(id)), undefined);

export const allUploads = () => orNothing(run("readonly", (store) => store.getAll()), []);

export const dropUpload = (id) => orNothing(run("readwrite", (store) => store.delete(id)), undefined);
