/** A command as a shell would take it: words, single quotes, `<` and `>` for files of the working directory. */

export interface CommandLine {
  readonly words: readonly string[];
  readonly from: string | undefined;
  readonly to: string | undefined;
}

export const parseCommand = (line: string): CommandLine => {
  const words: string[] = [];
  let [from, to]: (string | undefined)[] = [];
  let redirect = '';
  for (const token of line.match(/(?:'[^']*'|[^\s'])+/g) ?? []) {
    const word = token.replaceAll("'", '');
    if (redirect === '<') from = word;
    else if (redirect === '>') to = word;
    else if (token !== '<' && token !== '>') words.push(word);
    redirect = token === '<' || token === '>' ? token : '';
  }
  return { words, from, to };
};
