// A node:test reporter that keeps only what the last line of `npm test` needs: a line of JSON for each test, written as it ends.
export default async function* count(source) {
  for await (const { type, data } of source) {
    if (type !== 'test:pass' && type !== 'test:fail') continue
    if (data.details?.type === 'suite') continue
    const name = `${data.file?.replace(`${process.cwd()}/`, '') ?? ''}: ${data.name}`
    const reason = data.skip ?? data.todo
    if (reason !== undefined) yield `${JSON.stringify({ result: 'skipped', name, reason: String(reason || 'no reason given') })}\n`
    else yield `${JSON.stringify({ result: type === 'test:pass' ? 'passed' : 'failed', name })}\n`
  }
}
