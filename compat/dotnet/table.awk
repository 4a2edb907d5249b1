# Makes the table of Microsoft's .NET libraries, in Markdown, from the lines of run.sh: which ways each library got through,
# and what each way of checking tokens answered.
/^(ok|FAIL)/ {
	right = $1 == "ok"
	name = substr($0, 6)
	sub(/  .*/, "", name)
	if (sub(/^api (named )?/, "", name)) {
		split(name, api, ", ")
		if (!(api[1] in answers)) routes[++n_routes] = api[1]
		answers[api[1]] = answers[api[1]] (answers[api[1]] == "" ? "" : ", ") api[2] (right ? "" : " FAIL")
		next
	}
	if (!(name in tried)) names[++n_names] = name
	tried[name]++
	passed[name] += right
}
END {
	print "| a client gets a token by | result |\n|---|---|"
	for (i = 1; i <= n_names; i++) {
		all = passed[names[i]] == tried[names[i]]
		print "| " names[i] " | " (all ? "ok" : "FAIL") (tried[names[i]] > 1 ? ", " passed[names[i]] " of " tried[names[i]] " platforms" : "") " |"
	}
	print "\n| an API checks tokens by | token: answer |\n|---|---|"
	for (i = 1; i <= n_routes; i++) print "| " routes[i] " | " answers[routes[i]] " |"
}
