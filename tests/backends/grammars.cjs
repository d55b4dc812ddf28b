// Parse queries, each in its language, and print the positions of what the grammar does not allow.
// Standard input: [[language, query], ...]. Standard output: for each query, a list of positions.

const { readFileSync } = require("node:fs");

const parsers = {
  logql: require("@grafana/lezer-logql").parser,
  traceql: require("@grafana/lezer-traceql").parser,
};

// These parsers never fail: what they cannot read becomes an error node of the tree.
function errors(language, query) {
  const positions = [];
  parsers[language].parse(query).iterate({
    enter: (node) => {
      if (node.type.isError) positions.push(node.from);
    },
  });
  return positions;
}

const queries = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(queries.map(([language, query]) => errors(language, query))));
