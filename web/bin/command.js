// command.js - ends both commands: the exit status, and the message if output cannot be written.
const CLOSED_PIPE = 141; // 128 + SIGPIPE: what a shell tells of `cxrlens`, and of most others, whose reader is gone

/**
 * @param {string} name of the command
 * @param {() => Promise<number>} main resolves to the exit status; prints an error that it throws, and exits with 2
 */
export function runCommand(name, main) {
  const say = (/** @type {string} */ words) => process.stderr.write(`${name}: ${words}\n`);
  process.stdout.on('error', (/** @type {NodeJS.ErrnoException} */ error) => {
    if (error.code === 'EPIPE') process.exit(CLOSED_PIPE); // who reads has read enough; were it 0, failures before would be hidden
    say(`cannot write the results: ${error.message}`);
    process.exit(1);
  });
  main().then(
    (status) => {
      process.exitCode = status;
    },
    (error) => {
      say(error.message);
      process.exitCode = 2;
    },
  );
}
