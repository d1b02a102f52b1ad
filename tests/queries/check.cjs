// Checks infra/queries/*.kql and infra/workbook.json: Microsoft's language service parses and analyses each query against the tables
// of Application Insights, and the workbook shows queries of that folder and columns that they have. docs/LOGGING.md lists them, and has some of its own.
//
//   node check.cjs LANGUAGE_SERVICE [--update]
const fs = require('fs');
const path = require('path');
const vm = require('vm');

const [service, option] = process.argv.slice(2);
for (const file of ['bridge.min.js', 'Kusto.Language.Bridge.min.js']) {
  vm.runInThisContext(fs.readFileSync(path.join(service, file), 'utf8'), { filename: file });
}
const { KustoCode, GlobalState, Symbols } = Kusto.Language;

// The columns that the queries may use, as Microsoft documents them (Azure Monitor's pages of AppTraces and AppRequests, classic
// names). `success` is a string in the classic table and a bool in the other one: tobool() reads both.
const tables = [
  ['traces', '(timestamp: datetime, message: string, severityLevel: int, customDimensions: dynamic, operation_Id: string)'],
  ['requests', '(timestamp: datetime, name: string, success: string, resultCode: string, duration: real, operation_Id: string)'],
].map(([name, schema]) => new Symbols.TableSymbol.$ctor7(name, schema, ''));
const globals = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.ctor('app', tables));

const list = sequence => System.Linq.Enumerable.from(sequence).ToArray();

const root = path.join(__dirname, '../..');
const folder = path.join(root, 'infra/queries');
const problems = [];

// The columns of the result, with their types.
function analyse(name, text) {
  const code = KustoCode.ParseAndAnalyze(text, globals);
  for (const { Severity, Message, Start } of list(code.GetDiagnostics())) {
    problems.push(`${name}:${text.slice(0, Start).split('\n').length}: ${Severity}: ${Message}`);
  }
  return Object.fromEntries(list(code.ResultType?.Columns ?? []).map(column => [column.Name, column.Type.Name]));
}

const columns = {};
const texts = {};
for (const file of fs.readdirSync(folder).sort()) {
  const text = fs.readFileSync(path.join(folder, file), 'utf8');
  const name = path.basename(file, '.kql');
  if (!file.endsWith('.kql')) problems.push(`${file} is no query`);
  if (!/^\/\/ [A-Z].*[?.]\n/.test(text)) problems.push(`${file} does not begin with its question, as a comment`);
  texts[name] = text;
  columns[name] = analyse(file, text);
}

// The page's own queries, which stand behind the lines that define `console`.
const page = fs.readFileSync(path.join(root, 'docs/LOGGING.md'), 'utf8');
const [definition, ...examples] = [...page.matchAll(/```kusto\n(.*?)```/gs)].map(block => block[1]);
for (const example of examples) analyse('docs/LOGGING.md', definition + example);
for (const [name, text] of Object.entries(texts)) {
  const row = `| ${text.slice(3, text.indexOf('\n'))} | [${name}.kql](../infra/queries/${name}.kql) |`;
  if (!page.includes(row)) problems.push(`docs/LOGGING.md lacks the row: ${row}`);
}

// The workbook.
const file = path.join(root, 'infra/workbook.json');
const workbook = JSON.parse(fs.readFileSync(file, 'utf8'));
const shown = workbook.items.filter(item => item.type === 3);
if (option === '--update') {
  for (const { name, content } of shown) content.query = texts[name];
  fs.writeFileSync(file, JSON.stringify(workbook, null, 2) + '\n');
}
if (workbook.version !== 'Notebook/1.0') problems.push(`the workbook has the version ${workbook.version}`);
const names = workbook.items.map(item => item.name);
if (new Set(names).size < names.length) problems.push('two items of the workbook have the same name');
for (const { type } of workbook.items) if (![1, 3].includes(type)) problems.push(`the workbook has an item of type ${type}`);
for (const { name, content } of shown) {
  if (content.query !== texts[name]) problems.push(`the workbook's ${name} is not infra/queries/${name}.kql: tests/queries/run --update`);
  if (content.version !== 'KqlItem/1.0' || content.queryType !== 0 || content.resourceType !== 'microsoft.insights/components') {
    problems.push(`the workbook's ${name} is no query of Application Insights`);
  }
  const { xAxis, yAxis = [], group } = content.chartSettings ?? {};
  const has = columns[name] ?? {};
  for (const column of [xAxis, ...yAxis, group]) {
    if (column !== undefined && !(column in has)) problems.push(`the workbook's ${name} has no column ${column}`);
  }
  for (const column of yAxis) {
    if (!['int', 'long', 'real'].includes(has[column])) problems.push(`${name}: ${column} is no number`);
  }
  if ((content.visualization === 'table') !== (content.chartSettings === undefined)) {
    problems.push(`the workbook's ${name} is a table with axes, or a chart without`);
  }
}

// What the rules of the alerts read.
const expected = { 'alert-silent': { sweeps: 'long' }, 'alert-failures': { name: 'string', invocations: 'long', failures: 'long' } };
for (const [name, wanted] of Object.entries(expected)) {
  if (JSON.stringify(columns[name]) !== JSON.stringify(wanted)) problems.push(`${name} has the columns ${JSON.stringify(columns[name])}`);
}

problems.forEach(problem => console.log(`error: ${problem}`));
console.log(`${Object.keys(texts).length} queries, ${examples.length} on the page, ${shown.length} in the workbook`);
process.exit(problems.length ? 1 : 0);
