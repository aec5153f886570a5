// The suite's own server, on loopback only and on any free port.
//
// It would listen on every address of the machine, on a port that must be known beforehand,
// and write a file with its process id; here it says on standard output where it listens.
//
// It keeps idle connections. It would close them after a few seconds, which is as long as a
// case pauses, and whether the next request still got through would be a matter of luck. Only
// where a case sets the framing itself, so that it need not fit the body, the connection ends
// with the answer: nobody could find the next one on it.
import { ServerResponse } from 'node:http'
import { Server } from 'node:net'
import { devNull } from 'node:os'
import process from 'node:process'

const { listen } = Server.prototype
Server.prototype.listen = function (port) {
  this.keepAliveTimeout = 0
  return listen.call(this, { host: '127.0.0.1', port })
}

const FRAMING = ['content-length', 'transfer-encoding']
const { writeHead } = ServerResponse.prototype
ServerResponse.prototype.writeHead = function (...head) {
  if (FRAMING.some(name => this.hasHeader(name))) this.shouldKeepAlive = false
  return writeHead.apply(this, head)
}

process.env.npm_config_protocol = 'http'
process.env.npm_config_port = '0'
process.env.npm_config_pidfile = devNull

await import('http-cache-tests/server/server.mjs')
