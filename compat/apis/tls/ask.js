// Asks for a URL and says why it cannot.
try {
  await fetch(process.argv[2]);
} catch (error) {
  console.log(error.cause.code);
  process.exitCode = 1;
}
