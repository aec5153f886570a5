// What came of a question.

/**
 * @typedef {object} Finding
 * @property {"as expected" | "differs" | "cannot be told"} answer
 * @property {string} seen
 * @property {string} [advice] what to do about it
 */

/** @returns {Finding} */
export const asExpected = (seen) => ({ answer: "as expected", seen });

/** @returns {Finding} */
export const differs = (seen, advice) => ({ answer: "differs", seen, advice });

/** @returns {Finding} */
export const cannotTell = (seen, advice) => ({ answer: "cannot be told", seen, advice });

/** For questions about what comes out of the cache, when nothing does. */
export const noHit = () => cannotTell("nothing came out of the cache: see `cache`");

/** `differs` with all that is wrong, or else `asExpected`. */
export const judged = (wrong, seen, advice) =>
  wrong.length > 0 ? differs(wrong.join("; "), advice) : asExpected(seen);
