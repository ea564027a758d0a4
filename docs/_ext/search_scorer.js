// What is for those who change the package, or test with it, comes after what is for its users.
const LAST = /^(architecture|glossary|benchmarks|project\/|reference\/testing)/;

Scorer = {
  score: ([docname, , , , score]) => (LAST.test(docname) ? score - 100 : score),
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
