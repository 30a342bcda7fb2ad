// Why a file cannot be used. The page has the words for each code.

export class FileError extends Error {
  constructor(code, values = {}) {
    super(code);
    Object.assign(this, { code, values });
  }
}
