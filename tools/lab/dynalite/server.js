// DynamoDB for the lab: node server.js HOST:PORT [DIRECTORY]. Without a directory the tables live in memory.
'use strict'

const dynalite = require('dynalite')

const [address, path] = process.argv.slice(2)
const [, host, port] = /^(.+):(\d+)$/.exec(address || '') || []
if (!port) {
  console.error('usage: server.js HOST:PORT [DIRECTORY]')
  process.exit(2)
}

// dynalite throws when a client goes away within a request, and the lab kills clients: that must end the request, not the server.
process.on('uncaughtException', error => {
  console.error(error)
  if (error.code !== 'ECONNRESET') process.exit(1)
})

// No shutdown of its own: what was answered is on disk even after a kill.
dynalite({ path, createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 })
  .listen(Number(port), host, () => console.log(`listening on ${address}, ${path ? `tables in ${path}` : 'tables in memory'}`))
