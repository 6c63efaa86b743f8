// Search by questions: a page is found when it holds any of the words, not only when it holds all of them.
//
// Sphinx's own search leaves out every page that lacks one word, so a question as people type it finds nothing.
// Here pages are ranked as by BM25 (Robertson and Zaragoza 2009). The index says which words a page holds and not
// how often, so each counts once; words of a heading count more. This replaces one function of Sphinx's
// searchtools.js, which is loaded after this file and begins when the document is ready.
"use strict";

const SHOWN = 30; // pages; Sphinx fetches each for its summary
const LENGTH = 0.75; // BM25's b: how much a long page pays for holding many words
const SATURATION = 1.2; // BM25's k
const HEADING = 1; // what a word gains by standing in the page's title or in a heading
const PART = 0.3; // a word that is only a part of an indexed one

const filesOf = (index, word) =>
    Object.hasOwn(index, word) ? [index[word]].flat() : [];

let lengths = null; // number of different words of each page

function countWords(terms, pages) {
    const count = new Array(pages).fill(0);
    for (const files of Object.values(terms)) for (const file of [files].flat()) count[file] += 1;
    return count;
}

function rank(wanted, excluded) {
    const { terms, titleterms, docnames, titles, filenames } = Search._index;
    lengths ??= countWords(terms, docnames.length);
    const mean = lengths.reduce((sum, each) => sum + each, 0) / lengths.length;
    const scores = new Map();
    for (const word of wanted) {
        const headed = new Set(filesOf(titleterms, word));
        const found = new Set([...filesOf(terms, word), ...headed]);
        let weight = 1;
        if (found.size === 0 && word.length > 3) {
            weight = PART;
            for (const term of Object.keys(terms))
                if (term.includes(word)) filesOf(terms, term).forEach((file) => found.add(file));
        }
        const rarity = Math.log(1 + (docnames.length - found.size + 0.5) / (found.size + 0.5));
        for (const file of found) {
            const pays = SATURATION * (1 - LENGTH + (LENGTH * lengths[file]) / mean);
            const held = (SATURATION + 1) / (1 + pays) + (headed.has(file) ? HEADING : 0);
            scores.set(file, (scores.get(file) ?? 0) + weight * rarity * held);
        }
    }
    for (const word of excluded) for (const file of filesOf(terms, word)) scores.delete(file);
    return [...scores]
        .sort((one, other) => other[1] - one[1])
        .slice(0, SHOWN)
        .map(([file, score]) => [docnames[file], titles[file], "", null, score, filenames[file], SearchResultKind.text]);
}

document.addEventListener("DOMContentLoaded", () => {
    if (typeof Search !== "undefined") Search.performTermsSearch = rank;
});
