// Types and functions that several templates use.

@export()
@description('Tags of resources.')
type Tags = {
  @description('The value of a tag.')
  *: string
}

@export()
@description('Application settings of the function app. No secrets.')
type AppSettings = {
  @description('The value of a setting.')
  *: string
}

@export()
@description('The items of a list, as the app reads one: separated by commas or semicolons, with blanks around, empty and repeated ones left out.')
func list(text string) string[] =>
  union(filter(map(split(text, [',', ';']), item => trim(item)), item => !empty(item)), [])

@export()
@description('A reference to Key Vault, or nothing: whoever reads a deployment would read the secret itself.')
func secretReference(text string) string =>
  empty(text) || startsWith(text, '@Microsoft.KeyVault(')
    ? text
    : fail('Give a reference to Key Vault, @Microsoft.KeyVault(SecretUri=…), and not the secret itself.')
