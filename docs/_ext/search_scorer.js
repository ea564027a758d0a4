// Pages for those who change the package come after those for its users.
const FOR_DEVELOPERS = /^(architecture|glossary|benchmarks|project\/)/;

Scorer = {
  score: ([docname, , , , score]) => (FOR_DEVELOPERS.test(docname) ? score - 100 : score),
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
