// npm `eciesjs`, line by line: `seal PUBLIC PLAINTEXT` and `open SECRET SEALED`, all in hexadecimal digits.
//
// Answers each line with the bytes it makes, or with `refused`. Ends with its standard input.

import { createInterface } from 'node:readline'

import { ECIES_CONFIG, decrypt, encrypt } from 'eciesjs'

// The two settings that differ from the package's own; see proto/session.md.
ECIES_CONFIG.isEphemeralKeyCompressed = true
ECIES_CONFIG.isHkdfKeyCompressed = true

const does = { seal: encrypt, open: decrypt }
createInterface({ input: process.stdin }).on('line', (line) => {
  const [verb, key, bytes = ''] = line.split(' ')
  try {
    console.log(Buffer.from(does[verb](key, Buffer.from(bytes, 'hex'))).toString('hex'))
  } catch {
    console.log('refused')
  }
})
