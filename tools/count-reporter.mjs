// A node:test reporter that keeps only what the last line of `npm test` needs: counts, failed names, reasons of skips.
export default async function* count(source) {
  const result = { passed: 0, failed: [], skipped: [] }
  for await (const { type, data } of source) {
    if (type !== 'test:pass' && type !== 'test:fail') continue
    if (data.details?.type === 'suite') continue
    const name = `${data.file?.replace(`${process.cwd()}/`, '') ?? ''}: ${data.name}`
    if (data.skip !== undefined || data.todo !== undefined) result.skipped.push({ name, reason: String(data.skip || data.todo || 'no reason given') })
    else if (type === 'test:pass') result.passed++
    else result.failed.push(name)
  }
  yield JSON.stringify(result)
}
