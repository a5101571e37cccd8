// The acceptance test: two Undertone messengers, which know nothing but this relay's address, shake
// hands and exchange messages both ways through it.
//
//   node between.mjs PATH_TO_UNDERTONE [MESSAGES]
//
// Prints a line for each step and exits 0, or says what failed and exits 1. Everything it makes is in
// a temporary folder that it removes.

import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const [program, messages = '20'] = process.argv.slice(2)
const count = Number(messages)
if (program === undefined || !(count > 0)) {
  console.error('usage: node between.mjs PATH_TO_UNDERTONE [MESSAGES]')
  process.exit(2)
}

// A network of its own, whose work is found in milliseconds.
const network = 'interop'
const floor = '10'
const topic = `/undertone/2/${network}/${floor}`
const patience = 120_000

const children = []
const folder = await mkdtemp(join(tmpdir(), 'undertone-interop-'))
const passphrase = join(folder, 'passphrase')
await writeFile(passphrase, 'between two nodes\n', { mode: 0o600 })

/** Starts a program; `lines` are the lines it prints, `wait(test)` finds the first that passes. */
function start(command, args) {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  children.push(child)
  const lines = []
  const waiting = new Set()
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line)
    for (const look of waiting) look()
  })
  const ended = new Promise((done) => child.once('close', done))
  const wait = (what, test) => new Promise((found, failed) => {
    const timer = setTimeout(() => failed(new Error(`waited in vain for ${what}`)), patience)
    const look = () => {
      const line = lines.find(test)
      if (line === undefined) return
      clearTimeout(timer)
      waiting.delete(look)
      found(line)
    }
    waiting.add(look)
    look()
  })
  return { child, lines, wait, ended }
}

/** A person: a home folder, and the commands run in it. */
function person(name) {
  const home = ['--home', join(folder, name), '--passphrase-file', passphrase, '--no-input', '--json']
  return {
    name,
    start: (...args) => start(resolve(program), [...home, ...args]),
    async run(...args) {
      const { lines, ended } = this.start(...args)
      const status = await ended
      const answer = JSON.parse(lines.at(-1) ?? '{}')
      if (status !== 0 || !answer.ok) {
        throw new Error(`undertone ${args[0]} ${args[1]}: status ${status}, ${lines.at(-1)}`)
      }
      return answer.data
    }
  }
}

const parse = (line) => JSON.parse(line)
const heard = (node) => node.lines.map(parse).filter(({ type }) => type === 'message')

async function main() {
  const relay = start(process.execPath, [join(here, 'relay.mjs'), '--topic', topic, '--beat', '2'])
  const at = (await relay.wait('the relay', (line) => line.startsWith('listening '))).slice(10)
  console.log('ok  a JavaScript relay is up')

  const [ana, ben] = [person('ana'), person('ben')]
  const invites = await Promise.all([ana, ben].map((who) => who.run('identity', 'new', who.name)))
  await ana.run('contact', 'add', invites[1].invite, '--name', 'ben')
  await ben.run('contact', 'add', invites[0].invite, '--name', 'ana')
  console.log('ok  two people know each other by invite')

  const joined = ['--peer', at, '--network', network, '--floor', floor]
  const nodes = [ana, ben].map((who) => who.start('listen', ...joined))
  await relay.wait('two neighbours', (line) => line === 'peers 2')
  for (const node of nodes) {
    await node.wait('the session', (line) => {
      const event = parse(line)
      return event.type === 'session' && /ready/i.test(event.session)
    })
  }
  console.log('ok  they shook hands through it')

  for (let number = 0; number < count; number += 1) {
    await Promise.all([
      ana.run('send', 'ben', `${number} from ana`, '--wait', 'sent'),
      ben.run('send', 'ana', `${number} from ben`, '--wait', 'sent')
    ])
  }
  for (const [node, from] of [[nodes[0], 'ben'], [nodes[1], 'ana']]) {
    const last = `${count - 1} from ${from}`
    await node.wait(`"${last}"`, (line) => parse(line).text === last)
    const texts = heard(node).map(({ text }) => text)
    const wanted = Array.from({ length: count }, (_, number) => `${number} from ${from}`)
    if (JSON.stringify(texts) !== JSON.stringify(wanted)) {
      throw new Error(`of ${count} messages from ${from} came, in this order: ${texts.join(', ')}`)
    }
  }
  console.log(`ok  ${count} messages each way, in order, none lost`)

  const carried = relay.lines.filter((line) => line.startsWith('carried '))
  const sizes = new Set(carried.map((line) => line.split(' ')[2]))
  if (carried.length < 2 * count || sizes.size !== 1 || !sizes.has('2048')) {
    throw new Error(`the relay carried ${carried.length} envelopes of ${[...sizes].join(', ')} bytes`)
  }
  console.log(`ok  the relay carried ${carried.length} envelopes of 2048 bytes each`)
}

let status = 0
try {
  await main()
} catch (error) {
  console.error(`failed: ${error.message}`)
  status = 1
}
for (const child of children) child.kill('SIGTERM')
await Promise.all(children.map((child) =>
  child.exitCode !== null || child.signalCode !== null || new Promise((done) => child.once('exit', done))))
await rm(folder, { recursive: true, force: true })
process.exit(status)
